//! The role against a real NATS server, under the permissions it has in production, on each of the
//! stores.

/// Makes a test of each of these functions with each store. Whatever is left out here is unused, and
/// the compiler says so.
macro_rules! on_every_store {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            use super::World;

            $(#[tokio::test]
            async fn $test() {
                Box::pin(super::$test(World::embedded().await)).await;
            })+
        }

        mod mongodb {
            use super::World;
            use crate::store::cluster::mongodb::testing::with_database;

            $(#[tokio::test]
            async fn $test() {
                with_database(async |mongo| super::$test(World::mongodb(mongo).await).await).await;
            })+
        }
    };
}

mod late;
mod operations;
mod outbox;
mod recovery;
mod replay;
mod support;
