//! What an answer is that is no status document: a redirect, a web page, something compressed, or half of one.

use std::error::Error;

use reqwest::Url;

use super::{MAX_QUOTED, cut};
use crate::http_failure::find;

/// Most bytes of a web page that are searched for its title.
const MAX_SEARCHED: usize = 4096;

/// What came, and what to do about it.
pub(super) struct Oddity {
    pub(super) message: String,
    pub(super) remedy: String,
}

impl Oddity {
    pub(super) fn new(message: impl Into<String>, remedy: impl Into<String>) -> Oddity {
        Oddity {
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

/// A redirect. Of where it points, nothing is repeated that may be secret.
pub(super) fn redirect(status: u16, url: &str, location: &str) -> Oddity {
    let asked = Url::parse(url).ok();
    let target = asked.as_ref().and_then(|asked| asked.join(location).ok());
    let target = target.filter(|target| target.has_host());
    let (Some(asked), Some(mut target)) = (asked, target) else {
        return Oddity::new(
            format!("the device answered {status}, a redirect to something that is no address"),
            "redirects are not followed: check that the device's url is a LANTIME's",
        );
    };
    let origin = target.origin().ascii_serialization();
    let remedy = if target.origin() == asked.origin() {
        "redirects are not followed: the device shows another page, such as its login page, where its REST API should \
         be: set \"Enable REST API\" on its System page, and check username and password"
            .to_owned()
    } else if target.host() == asked.host() && (asked.scheme(), target.scheme()) == ("http", "https") {
        format!("redirects are not followed: the device wants https, so set its url to {origin:?}")
    } else {
        format!(
            "redirects are not followed, since the password would go elsewhere: if that is the device, set its url to {origin:?}"
        )
    };
    target.set_query(None);
    target.set_fragment(None);
    // Old servers write a session there: "/login;jsessionid=..".
    let path: Vec<_> = target.path().split('/').map(without_parameters).collect();
    let path = path.join("/");
    target.set_path(&path);
    // These fail only for addresses without a host, which are not here.
    let _ = (target.set_username(""), target.set_password(None));
    let to = cut(target.as_str().as_bytes(), MAX_QUOTED);
    Oddity::new(
        format!("the device answered {status}, a redirect to {to:?}"),
        remedy,
    )
}

/// A segment of a path without what follows a semicolon.
fn without_parameters(segment: &str) -> &str {
    segment.split_once(';').map_or(segment, |(name, _)| name)
}

/// An answer in an encoding that was not asked for.
pub(super) fn encoded(encoding: &str) -> Oddity {
    let encoding = cut(encoding.as_bytes(), MAX_QUOTED);
    Oddity::new(
        format!("the answer is compressed (Content-Encoding: {encoding:?}), which was not asked for"),
        COMPRESSED,
    )
}

const COMPRESSED: &str = "switch off compression for /api/ in the device's web server, or in the reverse proxy in front of \
                          it; if there is nothing to switch off, report the firmware version";

/// What an answer is that could not be read as JSON, for that reason, if its bytes show it. Nothing is quoted of one
/// that contains a secret.
pub(super) fn not_json(reason: &(dyn Error + 'static), body: &[u8], is_secret: bool) -> Option<Oddity> {
    let text = body
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(body)
        .trim_ascii_start();
    let ends_early = || find::<serde_json::Error>(reason).is_some_and(serde_json::Error::is_eof);
    match text {
        [b'<', ..] => {
            let title = title(text).filter(|_| !is_secret);
            let title = title.map_or_else(String::new, |title| format!(", with the title {title:?}"));
            Some(Oddity::new(
                format!("the answer is a web page (HTML) and no JSON{title}"),
                "check that the device's url is a LANTIME's, that \"Enable REST API\" is set on its System page, and that \
                 no proxy or login page answers in its place; if all is well, report the answer and the firmware version",
            ))
        }
        [0x1f, 0x8b, ..] => Some(Oddity::new(
            "the answer is compressed (gzip), without being asked to and without saying so",
            COMPRESSED,
        )),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, b'{', ..] | [b'{', 0, ..] => Some(Oddity::new(
            "the answer is in UTF-16, where JSON is in UTF-8",
            "look at what is between the bridge and the device; if nothing is, report the answer and the firmware version",
        )),
        [] => Some(Oddity::new(
            "the answer is empty",
            "ask the device with curl -v: if the Content-Length in the head is 0 there too, restart its web service; \
             if this goes on, report the firmware version",
        )),
        _ if ends_early() => Some(Oddity::new(
            format!("the document ends early: {reason}"),
            "ask the device with curl -v: if the document is whole there, report the answer and the firmware version; if it \
             ends early there too, the Content-Length in its head is too small, or its web service needs a restart",
        )),
        _ => None,
    }
}

/// The title of a web page.
fn title(page: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(&page[..page.len().min(MAX_SEARCHED)]);
    // ASCII only: the positions of the characters must stay.
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let title = page[start..end].trim();
    (!title.is_empty()).then(|| cut(title.as_bytes(), MAX_QUOTED))
}
