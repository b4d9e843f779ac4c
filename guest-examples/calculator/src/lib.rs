//! A calculator: evaluates arithmetic expressions and tells precisely what is wrong with one.

mod lexer;
mod parser;

wit_bindgen::generate!({ path: "wit", world: "tool" });

use exports::example::calculator::calculator::{Error, Guest, SyntaxError};

struct Calculator;

impl Guest for Calculator {
    fn evaluate(expression: String) -> Result<f64, Error> {
        parser::evaluate(&expression)
    }
}

export!(Calculator);

/// The error for an expression that stops making sense at a character, counted from 1.
fn syntax(position: u32, message: impl Into<String>) -> Error {
    Error::Syntax(SyntaxError {
        position,
        message: message.into(),
    })
}
