//! Placeholder while the workspace compiles its dependencies.
