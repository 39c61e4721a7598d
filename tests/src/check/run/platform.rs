//! The platform of one run: three NATS nodes, edges, workers, and a network between all of them.

use std::sync::Arc;

use tokio::sync::watch;

use super::{Backend, Options, SMALL_BUFFER};
use crate::check::faults::bus::Bus;
use crate::check::faults::{Kind, Orders, World, store};
use crate::check::proxy::Network;
use crate::stack::{Plan, Stack, Wiring as _};
use crate::stores::Stores;
use crate::{Context as _, Outcome};

/// Starts everything.
pub(in crate::check) async fn world(
    options: &Options,
) -> Outcome<(World, watch::Receiver<Orders>)> {
    let network = Arc::new(Network::default());
    let roles = ["auth,profiles", "channels", "history", "persister"];
    let mut groups = Vec::new();
    for role in roles {
        groups.extend(std::iter::repeat_n(role.to_owned(), options.workers.max(1)));
    }
    // One process makes what all need.
    groups[0].insert_str(0, "setup,");
    let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
    let mut plan = Plan::default()
        .edges(options.edges)
        .workers(&groups)
        .clustered()
        .wired(network.clone())
        .setting("SETUP", "STREAMS", &options.streams.to_string());
    if options.kinds().contains(&Kind::Overflow) {
        plan = plan.edge_setting("BUS__SUBSCRIPTION_BUFFER", SMALL_BUFFER);
    }
    if !options.without.is_empty() {
        plan = plan.without(&options.without);
    }
    for (section, key, value) in &options.set {
        plan = plan.setting(section, key, value);
    }
    if options.stores == Backend::Cluster {
        let stores = Stores::find()?;
        let kinds = options.kinds();
        if kinds.contains(&Kind::KillStore) || kinds.contains(&Kind::PauseStore) {
            store::must_be_ours(&stores)?;
        }
        plan = plan.cluster(&through(&network, stores)?);
    }
    let stack = Stack::start(plan).await?;
    let bus = Bus::find(&stack).await?;
    let (orders, seen) = watch::channel(Orders::default());
    Ok((
        World { stack, network, bus, orders, clients: options.clients, starting: Vec::new() },
        seen,
    ))
}

/// The stores, where nothing but a port has to be replaced to lead there.
fn through(network: &Network, mut stores: Stores) -> Outcome<Stores> {
    for (name, url) in [("mongodb", &mut stores.mongodb), ("redis", &mut stores.redis)] {
        let place = url.rfind("127.0.0.1:").during(format_args!("{name} is not here: {url}"))?;
        let start = place + "127.0.0.1:".len();
        let digits = url[start..].bytes().take_while(u8::is_ascii_digit).count();
        let port = network.port("workers", name, url[start..start + digits].parse()?)?;
        url.replace_range(start..start + digits, &port.to_string());
    }
    // A member of a set tells its driver where it is, and so leads it past the link.
    stores.mongodb = stores.mongodb.replace("replicaSet=rs0", "directConnection=true");
    Ok(stores)
}
