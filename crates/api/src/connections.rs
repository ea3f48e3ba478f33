//! Connections, limited in number and in silence, so that no client can exhaust the process.
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Open at once, those included that a client keeps for later. More wait until one is closed. With the sockets of everything
/// else they are fewer than the 1,024 files that a process may commonly have.
const CONNECTIONS: usize = 400;
/// How long a client may say nothing, in the middle of a request or between two.
const SILENCE: Duration = Duration::from_secs(30);

/// Accepts connections while there is room.
pub struct Connections {
    listener: TcpListener,
    room: Arc<Semaphore>,
}

/// One connection, and its place among the others.
pub struct Connection {
    stream: TcpStream,
    silence: Pin<Box<Sleep>>,
    patience: Patience,
    _place: Option<OwnedSemaphorePermit>,
}

/// Whether a connection's silence is not the client's fault: it has said all, and waits for an answer.
#[derive(Debug, Clone, Default)]
pub struct Patience(Arc<AtomicBool>);

impl Patience {
    pub fn set(&self, is_needed: bool) {
        self.0.store(is_needed, Ordering::Relaxed);
    }
}

impl Connected<IncomingStream<'_, Connections>> for Patience {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().patience.clone()
    }
}

impl Connections {
    pub fn new(listener: TcpListener) -> Self {
        Self { listener, room: Arc::new(Semaphore::new(CONNECTIONS)) }
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Never closed, so there always is a place in the end.
        let place = self.room.clone().acquire_owned().await.ok();
        // axum's own accept pauses after an error such as too many open files, and goes on.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let (silence, patience) = (Box::pin(sleep(SILENCE)), Patience::default());
        (Connection { stream, silence, patience, _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connection {
    /// A client that takes what it is sent isn't silent.
    fn heard(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.silence.as_mut().reset(Instant::now() + SILENCE);
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            self.silence.as_mut().reset(Instant::now() + SILENCE);
            return Poll::Ready(read);
        }
        while self.silence.as_mut().poll(context).is_ready() {
            if !self.patience.0.load(Ordering::Relaxed) {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.silence.as_mut().reset(Instant::now() + SILENCE);
        }
        Poll::Pending
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.heard(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.heard(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
