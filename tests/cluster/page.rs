//! The page of a bridge that stands by, and what it shows of the others.

use crate::browser::Script;
use crate::members::cluster;
use crate::support::site::Site;

/// With a page, to which the pages of other bridges link.
fn with_page(site: Site) -> Site {
    let site = site.with_http();
    let url = format!("http://{}/", site.http());
    site.with("cluster.url", url)
}

#[tokio::test]
async fn a_bridge_that_stands_by_says_so_and_leads_to_the_one_that_works() {
    let mut cluster = cluster(2, 2, with_page).await.started().await;
    let (owner, other) = (cluster.owner(), 1 - cluster.owner());
    let url = |member: usize| format!("http://{}/", cluster.members[member].site.http());
    let (to, id) = (url(owner), cluster.members[owner].id.clone());
    let mut script = Script::start("cluster.mjs", url(other).trim_end_matches('/'));
    assert_eq!(script.says("stands by").await, format!("{id} {to}"));
    // It follows the link.
    script.says("devices").await;
    script.says("members").await;
    cluster.etcd.kill(0);
    script.go_on();
    script.says("done").await;
}
