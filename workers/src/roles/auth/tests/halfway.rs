//! What is said where the store fails after something was changed.

use bus_schema::error::Code;
use bus_schema::ops::auth::{ChangePassword, ChangePasswordRequest, Secret};
use bus_schema::text::Password;
use rusqlite::Connection;

use super::{PASSWORD, World, by, cheap, code};
use crate::store::embedded::people::FILE;

impl World {
    /// Makes some writes fail as they do on a broken store.
    fn breaks(&self, which: &str) {
        self.alter(&format!(
            "CREATE TRIGGER broken BEFORE {which} BEGIN INSERT INTO nowhere VALUES (1); END"
        ));
    }

    fn mends(&self) {
        self.alter("DROP TRIGGER broken");
    }

    fn alter(&self, how: &str) {
        let people = Connection::open(self.settings.store.embedded.join(FILE)).unwrap();
        people.execute_batch(how).unwrap();
    }
}

#[tokio::test]
async fn a_password_that_was_changed_is_not_said_to_be_as_it_was() {
    let world = World::new(cheap()).await;
    let ann = world.register("ann").await;
    world.sign_in("ann", PASSWORD).await.unwrap();
    world.breaks("UPDATE OF ended_at ON sessions");
    let old = Secret::new(PASSWORD.to_owned());
    let new = Password::parse("battery staple").unwrap();
    let change = ChangePasswordRequest { old, new };
    let answer = world.ask::<ChangePassword>(by(&ann), &change).await;
    assert_eq!(code(answer), Code::UnknownOutcome);
    world.mends();
    world.sign_in("ann", "battery staple").await.unwrap();
    assert_eq!(code(world.sign_in("ann", PASSWORD).await), Code::Unauthorized);
}

#[tokio::test]
async fn an_account_that_was_made_is_not_said_to_be_refused() {
    let world = World::new(cheap()).await;
    let ann = world.register("ann").await;
    world.breaks("INSERT ON sessions");
    assert_eq!(code(world.try_register("bob", None).await), Code::UnknownOutcome);
    assert_eq!(code(world.try_register("bob", None).await), Code::UsernameTaken);
    assert_eq!(code(world.sign_in("ann", PASSWORD).await), Code::Unavailable, "nothing changed");
    assert_eq!(world.sessions(&ann).await.unwrap().len(), 1);
}
