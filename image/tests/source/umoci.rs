//! umoci
