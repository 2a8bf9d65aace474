//! TLS in front of a plain server, with a certificate that a CA made for the test has signed.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A CA.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("random numbers");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a new key signs"))
    }

    /// Its certificate, as a file holds it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server for `name` that passes everything on to `target`.
    pub async fn front(&self, name: &str, target: SocketAddr) -> TlsFront {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().expect("random numbers");
        let certificate = params.signed_by(&key, &self.0).expect("the CA has its key");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key as rcgen makes them");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("the key is the certificate's");
        TlsFront::start(TlsAcceptor::from(Arc::new(config)), target).await
    }
}

/// The server; stopped on drop.
pub struct TlsFront {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl TlsFront {
    async fn start(acceptor: TlsAcceptor, target: SocketAddr) -> TlsFront {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let (Ok(mut client), Ok(mut server)) =
                        (acceptor.accept(client).await, TcpStream::connect(target).await)
                    else {
                        return;
                    };
                    // Either side may leave at any time.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        TlsFront { address, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.task.abort();
    }
}
