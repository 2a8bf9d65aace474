//! What goes into the Debian package and the image. `deploy/debian/check` makes the package itself.

use std::fs;

use crate::common::program::run;
use crate::project;

#[tokio::test]
async fn the_manual_page_names_every_command() {
    let help = run(&["--help"]).await.output.stdout;
    let commands: Vec<_> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 6, "{help}");
    let page =
        fs::read_to_string(project("deploy/debian/lantime2mqtt.1")).expect("it is part of the project");
    for command in commands {
        let entry = format!(".B {}\n", command.replace('-', "\\-"));
        assert!(page.contains(&entry), "{command} is not in the manual page");
    }
}

#[test]
fn the_image_is_made_of_what_is_there() {
    let text =
        fs::read_to_string(project("deploy/container/Containerfile")).expect("it is part of the project");
    let copied = text.lines().filter_map(|line| line.strip_prefix("COPY "));
    let sources = copied.filter(|rest| !rest.starts_with("--from"));
    let sources: Vec<_> = sources
        .flat_map(|rest| rest.rsplit_once(' ').expect("a source and a target").0.split(' '))
        .collect();
    assert!(
        sources.contains(&"src") && sources.contains(&"Cargo.lock"),
        "{sources:?}"
    );
    for source in &sources {
        assert!(project(source).exists(), "{source} is copied, and not there");
    }
    // What the manifest names, and what the program has in it, is copied too.
    for named in ["config", "benches"] {
        assert!(sources.contains(&named), "{named}");
    }
    let toolchain = format!("rust:{}-", env!("CARGO_PKG_RUST_VERSION"));
    assert!(text.contains(&toolchain), "it is built with {toolchain}");
}
