//! What a caller is told when nobody answers.

use std::time::Duration;

use async_nats::{Client, HeaderMap, Subscriber};
use bus_schema::error::{Code, Failure};
use bus_schema::ids::ConversationId;
use bus_schema::ops::channels::{ChannelRequest, DeleteChannel};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::HEADER_FAILURE;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::settings::BusSettings;
use futures::StreamExt as _;
use natter_tests::Outcome;
use natter_tests::nats::NatsServer;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// Who asks, who answers, and what that one is asked.
async fn both_ends(server: &NatsServer) -> Outcome<(Bus, Client, Subscriber)> {
    let settings = BusSettings { url: server.url(), ..BusSettings::default() };
    let bus = Bus::connect(&settings, BusUser::Edge).await?;
    let service = server.connect().await?;
    let asked = service.subscribe("svc.channels.>").await?;
    service.flush().await?;
    Ok((bus, service, asked))
}

#[tokio::test]
async fn what_was_asked_before_the_bus_was_gone_may_have_been_done() {
    let mut server = NatsServer::bare().await.unwrap();
    let (bus, _service, mut asked) = both_ends(&server).await.unwrap();
    let request = ChannelRequest { id: ConversationId(7) };
    let call = Call::platform();
    let calling = bus.call::<DeleteChannel>(&call, &request);
    let kill = async {
        // It is carried out, for all that anybody knows, and the answer never comes.
        timeout(PATIENCE, asked.next()).await.unwrap().unwrap();
        server.kill();
    };
    let (answer, ()) = tokio::join!(calling, kill);
    assert_eq!(answer.unwrap_err().code, Code::Timeout);
    let never_sent = bus.call::<DeleteChannel>(&call, &request).await;
    assert_eq!(never_sent.unwrap_err().code, Code::Unavailable);
}

/// The first attempt may still be carried out, whatever is said of the second.
#[tokio::test]
async fn a_refusal_of_the_second_attempt_says_nothing_of_the_first() {
    let server = NatsServer::bare().await.unwrap();
    let (bus, service, mut asked) = both_ends(&server).await.unwrap();
    let request = ChannelRequest { id: ConversationId(7) };
    let call = Call::platform();
    for (refusal, heard) in [
        (Failure::unavailable(), Code::Timeout),
        (Failure::unknown_outcome(), Code::UnknownOutcome),
        (Failure::not_found(), Code::NotFound),
    ] {
        let calling = bus.call::<DeleteChannel>(&call, &request);
        let serve = async {
            timeout(PATIENCE, asked.next()).await.unwrap().unwrap();
            let again = timeout(PATIENCE, asked.next()).await.unwrap().unwrap();
            let mut headers = HeaderMap::new();
            let text = serde_json::to_string(&refusal).unwrap();
            headers.insert(HEADER_FAILURE, text.as_str());
            let to = again.reply.unwrap();
            service.publish_with_headers(to, headers, Vec::new().into()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(calling, serve);
        assert_eq!(answer.unwrap_err().code, heard);
    }
}
