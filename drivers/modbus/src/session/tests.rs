//! Scripted dialogues.
