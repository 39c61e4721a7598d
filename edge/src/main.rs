//! `natter-edge`: settings, telemetry, sockets, signals; then [`natter_edge::run`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bus_schema::runtime::{settings, shutdown::Shutdown, telemetry};
use clap::Parser;
use natter_edge::config::{Config, Flags};
use tokio::net::{TcpListener, TcpSocket};

/// The websocket and HTTP edge of Natter. Settings: deploy/config.default.toml.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Settings file.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where clients connect.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// How clients reach this edge from outside.
    #[arg(long)]
    public_url: Option<String>,
    /// Where operators look: health and metrics.
    #[arg(long)]
    admin_listen: Option<SocketAddr>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { config, listen, public_url, admin_listen } = Arguments::parse();
    let flags = Flags::new(listen, public_url, admin_listen);
    match start(config, flags).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("natter-edge: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(file: Option<PathBuf>, flags: Flags) -> Result<bool, Box<dyn std::error::Error>> {
    let config: Config = settings::load(file.as_deref(), flags)?;
    telemetry::init(&config.log);
    let metrics = telemetry::metrics()?;
    let bind = |address: SocketAddr| {
        listen(address, config.edge.accept_queue)
            .map_err(|error| format!("cannot listen on {address}: {error}"))
    };
    let listener = bind(config.edge.listen)?;
    let admin = bind(config.edge.admin_listen)?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    Ok(natter_edge::run(config, listener, admin, metrics, shutdown).await?)
}

/// As [`TcpListener::bind`], with another queue.
fn listen(address: SocketAddr, queue: u32) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(queue)
}
