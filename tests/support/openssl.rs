//! OpenSSL's own certificates and HTTPS server: what sites have, made as guides say.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lantime2mqtt::tls::Fingerprint;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tempfile::TempDir;

/// Arguments of `openssl req` for a new key.
pub type NewKey = &'static [&'static str];
pub const RSA: NewKey = &["-newkey", "rsa:2048"];
pub const RSA_1024: NewKey = &["-newkey", "rsa:1024"];
pub const P256: NewKey = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub const P521: NewKey = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"];

/// Extension of a certificate for the loopback.
pub const NAMES: &str = "subjectAltName = IP:127.0.0.1, DNS:localhost\n";

/// A CA, and what it has issued.
pub struct Certificates(TempDir);

/// A certificate and its key, as PEM files.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// With a new CA.
    pub fn new() -> Certificates {
        let certificates = Certificates(TempDir::new().expect("a temporary directory"));
        certificates.self_sign("ca", RSA, "CA of a test", &[]);
        certificates
    }

    /// The file of the CA's certificate.
    pub fn ca(&self) -> String {
        self.file("ca.pem").display().to_string()
    }

    /// A certificate that the CA signs with `openssl x509 -req`. Without extensions OpenSSL 3.0 makes one of version 1.
    pub fn issue(&self, name: &str, key: NewKey, extensions: Option<&str>) -> Issued {
        self.issue_for_days(name, key, extensions, 2)
    }

    /// The same, good for so many days.
    pub fn issue_for_days(&self, name: &str, key: NewKey, extensions: Option<&str>, days: i32) -> Issued {
        let issued = self.issued(name);
        let request = self.file(&format!("{name}.csr"));
        let request = request.display().to_string();
        let [certificate, private_key] = issued.paths();
        openssl(&[
            &[
                "req",
                "-nodes",
                "-subj",
                "/CN=localhost",
                "-keyout",
                &private_key,
                "-out",
                &request,
            ],
            key,
        ]);
        let file = self.file("extensions");
        std::fs::write(&file, extensions.unwrap_or_default()).expect("our directory");
        let file = file.display().to_string();
        let extensions: &[&str] = match extensions {
            Some(_) => &["-extfile", &file],
            None => &[],
        };
        let days = days.to_string();
        let (ca, ca_key) = (self.ca(), self.file("ca.key").display().to_string());
        openssl(&[
            &[
                "x509",
                "-req",
                "-in",
                &request,
                "-out",
                &certificate,
                "-days",
                &days,
            ],
            &["-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"],
            extensions,
        ]);
        issued
    }

    /// A certificate for 127.0.0.1 that `openssl req -x509` makes: a CA's (CA:TRUE) by default.
    pub fn self_sign(&self, name: &str, key: NewKey, subject: &str, more: &[&str]) -> Issued {
        let issued = self.issued(name);
        let [certificate, private_key] = issued.paths();
        let subject = format!("/CN={subject}");
        openssl(&[
            &["req", "-x509", "-nodes", "-days", "2", "-subj", &subject],
            &["-addext", "subjectAltName = IP:127.0.0.1"],
            &["-keyout", &private_key, "-out", &certificate],
            key,
            more,
        ]);
        issued
    }

    fn issued(&self, name: &str) -> Issued {
        Issued {
            certificate: self.file(&format!("{name}.pem")),
            key: self.file(&format!("{name}.key")),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Issued {
    fn paths(&self) -> [String; 2] {
        [&self.certificate, &self.key].map(|path| path.display().to_string())
    }

    /// As configurations take it.
    pub fn fingerprint(&self) -> String {
        let certificate = CertificateDer::from_pem_file(&self.certificate).expect("openssl has made it");
        Fingerprint::of(&certificate).to_string()
    }

    /// Its X.509 version, as OpenSSL shows it.
    pub fn version(&self) -> u8 {
        let [certificate, _] = self.paths();
        let text = openssl(&[&["x509", "-noout", "-text", "-in", &certificate]]);
        let version = text
            .split("Version: ")
            .nth(1)
            .and_then(|text| text.chars().next());
        let version = version.and_then(|digit| digit.to_digit(10));
        version
            .and_then(|digit| u8::try_from(digit).ok())
            .expect("a version")
    }
}

/// `openssl s_server`, which answers every GET of the status with one document; killed on drop.
pub struct Server {
    child: Child,
    address: String,
    _directory: TempDir,
}

impl Server {
    /// Serves on a free port of the loopback, with more options such as `-tls1_2`.
    pub fn start(issued: &Issued, options: &[&str], document: &[u8]) -> Server {
        let directory = TempDir::new().expect("a temporary directory");
        std::fs::create_dir(directory.path().join("api")).expect("our directory");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", document.len());
        let answer = [head.as_bytes(), document].concat();
        std::fs::write(directory.path().join("api/status"), answer).expect("our directory");
        let mut child = command(directory.path())
            .args([
                "s_server",
                "-accept",
                "127.0.0.1:0",
                "-HTTP",
                "-naccept",
                "1000000",
                "-cert",
            ])
            .arg(&issued.certificate)
            .arg("-key")
            .arg(&issued.key)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need openssl (Debian: apt-get install openssl)");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned))
            .expect("s_server listens");
        // Reads on to the end, so that a full pipe never stops it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Server {
            child,
            address,
            _directory: directory,
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(directory);
    command
}

/// Runs it to its end, and gives what it writes.
fn openssl(arguments: &[&[&str]]) -> String {
    let output = command(Path::new("."))
        .args(arguments.concat())
        .output()
        .expect("these tests need openssl (Debian: apt-get install openssl)");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {log}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
