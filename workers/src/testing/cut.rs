//! A way to a server that can be cut, and mended again.
//!
//! Invariant: while it is cut, nobody listens and no connection is left, as when the server is gone.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// The way.
pub(crate) struct Cut {
    pub(crate) address: SocketAddr,
    target: String,
    serving: Option<JoinHandle<()>>,
}

impl Cut {
    /// A way to `target`, mended.
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Some(tokio::spawn(serve(listener, target.to_owned())));
        Self { address, target: target.to_owned(), serving }
    }

    /// Cuts it.
    pub(crate) async fn cut(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
    }

    /// Mends it.
    pub(crate) fn mend(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        let listener = socket.listen(64).unwrap();
        self.serving = Some(tokio::spawn(serve(listener, self.target.clone())));
    }
}

async fn serve(listener: TcpListener, target: String) {
    // Connections end with the set, so with the task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((mut near, _)) = listener.accept().await else { continue };
        let target = target.clone();
        connections.spawn(async move {
            if let Ok(mut far) = TcpStream::connect(target).await {
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
    }
}
