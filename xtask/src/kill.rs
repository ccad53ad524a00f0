//! Kill test.
