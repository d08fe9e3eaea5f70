//! The container's files, as far as they can be checked without an engine: what they name is there.

use std::collections::BTreeSet;

use serde_yaml_ng::Value;

fn text(path: &str) -> String {
    std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn exists(path: &str) -> bool {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}

/// Fails unless the program knows a variable of the environment.
fn assert_setting(variable: &str) {
    let defaults: toml::Table = kontor::config::DEFAULTS.parse().unwrap();
    let known = variable == "DATABASE_URL"
        || variable.strip_prefix("KONTOR_").is_some_and(|rest| {
            let rest = rest.to_lowercase();
            let (section, key) = rest.split_once('_').unwrap();
            defaults.get(section).and_then(|section| section.get(key)).is_some()
        });
    assert!(known, "{variable} is no setting");
}

/// The instructions of the Dockerfile, continued lines joined, without comments.
fn instructions() -> Vec<(String, String)> {
    let text = text("docker/Dockerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once(' ').map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).unwrap())
        .collect()
}

fn all_of<'a>(instructions: &'a [(String, String)], word: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(name, _)| name == word).map(|(_, rest)| rest.as_str()).collect()
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let instructions = instructions();
    let known = "ARG CMD COPY ENTRYPOINT ENV EXPOSE FROM HEALTHCHECK RUN SHELL STOPSIGNAL USER WORKDIR";
    for (word, _) in &instructions {
        assert!(known.split(' ').any(|name| name == word), "{word} is no instruction");
    }
    let own = all_of(&instructions, "COPY").into_iter().filter(|copy| !copy.starts_with("--from"));
    let copied: Vec<&str> = own.flat_map(|copy| copy.rsplit_once(' ').unwrap().0.split(' ')).collect();
    for source in &copied {
        assert!(exists(source), "COPY {source}");
    }
    let manifest: toml::Table = text("Cargo.toml").parse().unwrap();
    let build = all_of(&instructions, "RUN").join(" ");
    for (_, rest) in build.match_indices("--features ").map(|(at, found)| build.split_at(at + found.len())) {
        let feature = rest.split_whitespace().next().unwrap();
        assert!(manifest["features"].get(feature).is_some(), "there is no feature {feature}");
    }
    // Each folder that Cargo.toml names a target in is copied, or made for the layer of the dependencies.
    for target in ["src/main.rs", "src/lib.rs", "tests/it/main.rs"] {
        assert!(exists(target) && build.contains(target), "{target}");
    }
    let least: Vec<u32> = numbers(manifest["package"]["rust-version"].as_str().unwrap());
    let image = all_of(&instructions, "FROM")[0].split([':', '-']).nth(1).unwrap();
    assert!(numbers(image) >= least, "the image's Rust {image} is too old");
    // What the sources include is copied too.
    for (file, included) in includes() {
        assert!(copied.iter().any(|source| included.starts_with(source)), "{file} includes {included}");
    }
}

fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map(|part| part.parse().unwrap()).collect()
}

/// Which files the sources include, from the root of the repository.
fn includes() -> Vec<(String, String)> {
    fn walk(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for word in ["include_str!(\"", "include_bytes!(\""] {
                    for part in text.split(word).skip(1) {
                        let included = path.parent().unwrap().join(part.split('"').next().unwrap());
                        let included = included.canonicalize().unwrap();
                        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap();
                        let included = included.strip_prefix(root).unwrap().display().to_string();
                        found.push((path.display().to_string(), included));
                    }
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(!found.is_empty());
    found
}

#[test]
fn the_image_runs_as_nobody_and_serves_where_it_says() {
    let instructions = instructions();
    let user = all_of(&instructions, "USER").last().unwrap().split(':').next().unwrap().to_owned();
    assert!(user != "root" && user != "0");
    let mut listen = String::new();
    for pair in all_of(&instructions, "ENV").iter().flat_map(|line| line.split_whitespace()) {
        let (name, value) = pair.split_once('=').unwrap();
        assert_setting(name);
        if name == "KONTOR_HTTP_LISTEN" {
            value.clone_into(&mut listen);
        }
    }
    let port = listen.rsplit_once(':').unwrap().1;
    assert_eq!(all_of(&instructions, "EXPOSE"), [port]);
    assert!(all_of(&instructions, "HEALTHCHECK")[0].contains(&format!(":{port}/health/ready")));
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_mapping().map(|map| map.keys().map(|key| key.as_str().unwrap().to_owned()).collect()).unwrap_or_default()
}

#[test]
fn the_compose_file_names_what_is_there() {
    let mut compose: Value = serde_yaml_ng::from_str(&text("docker/compose.yaml")).unwrap();
    // Twice, for what is merged has merges of its own.
    compose.apply_merge().unwrap();
    compose.apply_merge().unwrap();
    let (services, volumes) = (&compose["services"], keys(&compose["volumes"]));
    let names = keys(services);
    let wanted = ["migrate", "postgres", "serve-1", "serve-2", "worker"];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), wanted);
    for name in &names {
        let service = &services[name.as_str()];
        for other in keys(&service["depends_on"]) {
            assert!(names.contains(&other), "{name} depends on {other}");
            let condition = service["depends_on"][other.as_str()]["condition"].as_str().unwrap();
            let has_check = services[other.as_str()]["healthcheck"]["test"].is_sequence();
            assert!(condition != "service_healthy" || has_check, "{name} waits for the health of {other}");
        }
        for volume in service["volumes"].as_sequence().into_iter().flatten() {
            assert!(volumes.contains(volume.as_str().unwrap().split(':').next().unwrap()), "{name}: {volume:?}");
        }
        if name == "postgres" {
            continue;
        }
        for variable in keys(&service["environment"]) {
            assert_setting(&variable);
        }
        assert!(!service["environment"]["KONTOR_HTTP_PUBLIC_URL"].is_null(), "{name} does not know its address");
        let context = service["build"]["context"].as_str().unwrap();
        assert!(exists(&format!("docker/{context}/{}", service["build"]["dockerfile"].as_str().unwrap())));
        assert_eq!(service["command"].as_sequence().unwrap().len(), 1);
        assert!(["migrate", "serve", "worker"].contains(&service["command"][0].as_str().unwrap()));
    }
}
