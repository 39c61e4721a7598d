//! What a caller is told when nobody answers.

use std::time::Duration;

use bus_schema::error::Code;
use bus_schema::ids::ConversationId;
use bus_schema::ops::channels::{ChannelRequest, DeleteChannel};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::settings::BusSettings;
use futures::StreamExt as _;
use natter_tests::nats::NatsServer;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn what_was_asked_before_the_bus_was_gone_may_have_been_done() {
    let mut server = NatsServer::bare().await.unwrap();
    let settings = BusSettings { url: server.url(), ..BusSettings::default() };
    let bus = Bus::connect(&settings, BusUser::Edge).await.unwrap();
    let service = server.connect().await.unwrap();
    let mut asked = service.subscribe("svc.channels.>").await.unwrap();
    service.flush().await.unwrap();
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
