//! Simulated devices with a relay module in `io1`, and a bridge with an HTTP server.

use lantime2mqtt::simulator::ApiGeneration::V20;

use crate::support::http;
use crate::support::scene::Setup;
use crate::support::site::Site;

/// So many of them.
pub(crate) fn setup<'a>(devices: usize) -> Setup<'a> {
    Setup::single(&vec![V20; devices]).site(Site::with_http)
}

/// Asks for the metrics until `condition` holds.
pub(crate) async fn metrics(site: &Site, what: &str, condition: impl Fn(&str) -> bool) -> String {
    let is = |answer: &http::Answer| answer.status == 200 && condition(&answer.body);
    http::until(site.http(), "/metrics", what, is).await.body
}

/// The value of a sample, as it is written.
pub(crate) fn value<'t>(text: &'t str, sample: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '))
}
