//! The bridge.

use std::time::Duration;

use natter_tests::eventually::{Seen, eventually};
use natter_tests::{Context as _, Outcome};
use rand::RngExt as _;

use super::language::Language;
use super::scene::{PATIENCE, Scene};
use crate::support::play_within;

const LIMIT: Duration = Duration::from_mins(5);
/// More than a bot may send at once, so that it is told to wait.
const LINES: usize = 130;
/// Lines that are sent again after a kill, as if their answers had not been noted.
const UNNOTED: usize = 3;

pub(super) fn goes_on(language: Language) {
    play_within(LIMIT, async |world| {
        let scene = Scene::new(&world, language).await?;
        let (path, lines) = (scene.file("lines"), lines());
        std::fs::write(&path, lines.join("\n"))?;
        let path = path.to_str().during("a path that is no text")?;
        let channel = scene.channel.to_string();
        let mut published = 0;
        for _ in 0..2 {
            let enough = published + rand::rng().random_range(15..=40);
            let mut bot = scene.start("bridge", &[path, &channel])?;
            published = scene
                .wait("some lines are published", &mut bot, async || {
                    let number = noted(&scene)?;
                    let status = format!("{number} of {enough}");
                    Ok(if number < enough { Seen::not_yet(status) } else { Seen::Done(number) })
                })
                .await?;
            bot.kill();
            let noted = noted(&scene)?.saturating_sub(UNNOTED);
            std::fs::write(scene.file("lines.done"), noted.to_string())?;
        }
        let mut bot = scene.start("bridge", &[path, &channel])?;
        let status = eventually("the bridge ends", PATIENCE, async || {
            Ok(bot.ended().map_or_else(|| Seen::not_yet("it runs"), Seen::Done))
        })
        .await?;
        scene.check(status.success(), "the bridge failed")?;
        let said = scene.said().await?;
        let wanted: Vec<_> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        scene.check(said == wanted, &format!("published {said:#?}, not {wanted:#?}"))
    });
}

/// What is to be published: blank lines too, and what a shell or a template could mistake.
fn lines() -> Vec<String> {
    let line = |n: usize| match n % 10 {
        3 => String::new(),
        5 => format!("{n} \"quoted\" 'twice' \\ $HOME `id` $(id)"),
        7 => format!("{n} {{{{.Count}}}} %s %d"),
        9 => format!("{n} ünïcödé 日本語"),
        _ => format!("line {n}"),
    };
    (1..=LINES).map(line).collect()
}

/// The number in the file beside the lines.
fn noted(scene: &Scene) -> Outcome<usize> {
    match std::fs::read_to_string(scene.file("lines.done")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(0),
        read => Ok(read?.trim().parse()?),
    }
}
