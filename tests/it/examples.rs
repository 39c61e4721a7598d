//! The example bots of `deploy/examples`, in every language, as their authors would run them; and the
//! page that leads to the first one, word for word.
//!
//! They are made ready by `./deploy/test` or `./deploy/examples/prepare`; what is not there fails.

mod bridge;
mod echo;
mod language;
mod modlog;
mod page;
mod scene;

/// What each language must do, in a module of its name, by which `./deploy/test` leaves it out.
macro_rules! languages {
    ($($module:ident: $language:ident,)*) => {$(
        mod $module {
            use super::language::Language::$language;

            #[test]
            fn an_echo_bot_answers_also_after_nats_was_killed_and_never_itself() {
                super::echo::answers($language);
            }

            #[test]
            fn a_moderation_log_that_is_killed_has_each_entry_once_in_order() {
                super::modlog::survives($language);
            }

            #[test]
            fn a_bridge_that_is_killed_publishes_each_line_once_in_order() {
                super::bridge::goes_on($language);
            }
        }
    )*};
}

languages! {
    shell: Shell,
    python: Python,
    javascript: JavaScript,
    go: Go,
    rust: Rust,
}
