//! The operations, for one worker and for several.

use bus_schema::error::Code;
use bus_schema::events::Ephemeral;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::Service;
use bus_schema::ops::channels::{Audience, AudienceReply};
use bus_schema::ops::profiles::*;
use bus_schema::permissions::BusUser;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::service::{Context, Host, ServiceSettings};
use bus_schema::subjects::LogSubject;
use bus_schema::text::{DisplayName, Username};
use futures::StreamExt as _;

use super::support::{Place, World, display_name};
use crate::roles::profiles::ProfilesSettings;
use crate::store::users::ProfileChange;
use crate::testing::{PATIENCE, eventually};

#[tokio::test]
async fn gets_each_known_user_once() {
    let world = World::new(Place::Memory, 5, 1, ProfilesSettings::default()).await;
    let names = world.names(&[1, 2, 2, 1, 77]).await;
    assert_eq!(names.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(world.names(&[]).await.len(), 0);
    let request = GetProfilesRequest { ids: (0..101).map(UserId).collect() };
    let too_many = world.ask::<GetProfiles>(Call::platform(), &request).await;
    assert_eq!(too_many.unwrap_err().code, Code::BadRequest);
    let by_name = |name| ByUsernameRequest { username: Username::parse(name).unwrap() };
    let found = world.ask::<ByUsername>(Call::platform(), &by_name("USER3")).await.unwrap();
    assert_eq!(found.id, UserId(3));
    let nobody = world.ask::<ByUsername>(Call::platform(), &by_name("nobody")).await;
    assert_eq!(nobody.unwrap_err().code, Code::NotFound);
    world.shutdown.request();
    for worker in world.workers {
        worker.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_answered_change_is_seen_through_every_worker() {
    let mut world = World::new(Place::Memory, 5, 3, ProfilesSettings::default()).await;
    let token = world.token().await;
    for _ in 0..20 {
        world.names(&[1]).await;
    }
    for n in 0..20 {
        let name = format!("name {n}");
        let user = world.ask::<UpdateProfile>(token.clone(), &display_name(&name)).await.unwrap();
        assert_eq!(user.display_name.as_str(), name);
        for _ in 0..5 {
            assert_eq!(world.names(&[1]).await[&1], name);
        }
    }
    let taken = UpdateProfileRequest {
        username: Some(Username::parse("user2").unwrap()),
        ..UpdateProfileRequest::default()
    };
    let refused = world.ask::<UpdateProfile>(token.clone(), &taken).await.unwrap_err();
    assert_eq!(refused.code, Code::UsernameTaken);
    let nobody = world.ask::<UpdateProfile>(Call::platform(), &display_name("x")).await;
    assert_eq!(nobody.unwrap_err().code, Code::Unauthorized);
}

#[tokio::test]
async fn a_change_behind_the_caches_is_seen_when_they_are_no_longer_fresh() {
    let world =
        World::new(Place::Memory, 5, 1, ProfilesSettings { fresh_s: 1, ..Default::default() })
            .await;
    assert_eq!(world.names(&[1]).await[&1], "first");
    let change = ProfileChange {
        display_name: Some(DisplayName::parse("second").unwrap()),
        ..ProfileChange::default()
    };
    world.stores.users.update_profile(UserId(1), change).await.unwrap();
    assert_eq!(world.names(&[1]).await[&1], "first", "a cached profile costs no query");
    eventually("the new name", async || (world.names(&[1]).await[&1] == "second").then_some(()))
        .await;
}

#[tokio::test]
async fn everybody_who_sees_a_person_is_told() {
    let mut world = World::new(Place::Memory, 5, 1, ProfilesSettings::default()).await;
    let token = world.token().await;
    let channel = LogSubject::Channel(ConversationId(300));
    let channels = world.server.connect(BusUser::Channels).await;
    let mut host =
        Host::new(&channels, Service::Channels, ServiceSettings::default()).await.unwrap();
    host.operation::<Audience, _, _>(None, move |context: Context, _| async move {
        let partner = LogSubject::User(UserId(2));
        assert_eq!(context.caller()?.user, UserId(1));
        Ok(AudienceReply { places: vec![channel, partner] })
    })
    .await
    .unwrap();
    let host = tokio::spawn(host.run(world.shutdown.clone()));
    let mut heard = Vec::new();
    for place in [channel, LogSubject::User(UserId(2)), LogSubject::User(UserId(1))] {
        heard.push(world.edge.client().subscribe(place.ephemeral()).await.unwrap());
    }
    world.edge.client().flush().await.unwrap();
    channels.client().flush().await.unwrap();
    world.ask::<UpdateProfile>(token, &display_name("Ann")).await.unwrap();
    for place in &mut heard {
        let message = tokio::time::timeout(PATIENCE, place.next()).await.unwrap().unwrap();
        let event: Ephemeral = serde_json::from_slice(&message.payload).unwrap();
        assert!(matches!(event, Ephemeral::UserUpdate(u) if u.display_name.as_str() == "Ann"));
    }
    world.shutdown.request();
    assert!(host.await.unwrap());
}
