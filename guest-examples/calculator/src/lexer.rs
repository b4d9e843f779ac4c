//! Cuts an expression into tokens, each with its place.

use crate::exports::example::calculator::calculator::Error;
use crate::syntax;
use std::iter::Peekable;
use std::str::Chars;

/// The smallest parts of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    /// A number literal.
    Number(f64),
    /// A constant or a function.
    Name(String),
    /// An operator, a parenthesis or a comma.
    Symbol(char),
    /// The end of the expression.
    End,
}

/// Reads tokens one by one.
pub(crate) struct Lexer<'a> {
    characters: Peekable<Chars<'a>>,
    position: u32,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(expression: &'a str) -> Self {
        Self {
            characters: expression.chars().peekable(),
            position: 1,
        }
    }

    /// The next token and the position of its first character.
    pub(crate) fn next(&mut self) -> Result<(Token, u32), Error> {
        self.take_while(char::is_whitespace);
        let start = self.position;
        let token = match self.characters.peek().copied() {
            None => Token::End,
            Some(c) if c.is_ascii_digit() || c == '.' => Token::Number(self.number(start)?),
            Some(c) if c.is_alphabetic() => Token::Name(self.take_while(|c| c.is_alphanumeric() || c == '_')),
            Some(c) if "+-*/%^(),".contains(c) => {
                self.advance();
                Token::Symbol(c)
            }
            Some(c) => return Err(syntax(start, format!("`{c}` has no meaning in an expression"))),
        };
        Ok((token, start))
    }

    /// Digits with an optional point and an optional exponent: `12`, `.5`, `1.5e-3`.
    fn number(&mut self, start: u32) -> Result<f64, Error> {
        let mut text = self.take_while(|c| c.is_ascii_digit() || c == '.');
        if let Some(e) = self.exponent() {
            text.push_str(&e);
        }
        let number: f64 = text
            .parse()
            .map_err(|_| syntax(start, format!("`{text}` is not a number")))?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err(Error::Overflow)
        }
    }

    /// An exponent, or nothing where the `e` belongs to something else.
    fn exponent(&mut self) -> Option<String> {
        let mut ahead = self.characters.clone();
        let mut text = ahead.next_if(|c| *c == 'e' || *c == 'E')?.to_string();
        text.extend(ahead.next_if(|c| *c == '+' || *c == '-'));
        let mark = text.len();
        while let Some(digit) = ahead.next_if(char::is_ascii_digit) {
            text.push(digit);
        }
        if text.len() == mark {
            return None;
        }
        for _ in text.chars() {
            self.advance();
        }
        Some(text)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.characters.peek().copied().filter(|c| wanted(*c)) {
            text.push(c);
            self.advance();
        }
        text
    }

    fn advance(&mut self) {
        self.characters.next();
        self.position += 1;
    }
}
