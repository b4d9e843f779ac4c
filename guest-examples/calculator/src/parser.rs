//! Evaluates an expression while it parses it, by recursive descent.

use crate::exports::example::calculator::calculator::Error;
use crate::lexer::{Lexer, Token};
use crate::syntax;

/// How deep parentheses, signs and powers may nest, so that no expression exhausts the stack.
const MAX_DEPTH: u32 = 200;

/// The value of an expression.
pub(crate) fn evaluate(expression: &str) -> Result<f64, Error> {
    let mut lexer = Lexer::new(expression);
    let (token, position) = lexer.next()?;
    let mut parser = Parser {
        lexer,
        token,
        position,
        depth: 0,
    };
    let value = parser.sum()?;
    match parser.token {
        Token::End => Ok(value),
        _ => Err(syntax(parser.position, "expected an operator or the end")),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that is looked at, and where it begins.
    token: Token,
    position: u32,
    depth: u32,
}

impl Parser<'_> {
    /// `product (("+" | "-") product)*`
    fn sum(&mut self) -> Result<f64, Error> {
        let mut value = self.product()?;
        loop {
            value = if self.accept('+')? {
                finite(value + self.product()?)?
            } else if self.accept('-')? {
                finite(value - self.product()?)?
            } else {
                return Ok(value);
            };
        }
    }

    /// `unary (("*" | "/" | "%") unary)*`
    fn product(&mut self) -> Result<f64, Error> {
        let mut value = self.unary()?;
        loop {
            value = if self.accept('*')? {
                finite(value * self.unary()?)?
            } else if self.accept('/')? {
                finite(value / self.divisor()?)?
            } else if self.accept('%')? {
                value % self.divisor()?
            } else {
                return Ok(value);
            };
        }
    }

    fn divisor(&mut self) -> Result<f64, Error> {
        match self.unary()? {
            0.0 => Err(Error::DivisionByZero),
            divisor => Ok(divisor),
        }
    }

    /// `("-" | "+") unary | power`: a sign binds less than a power, so `-2^2` is -4.
    fn unary(&mut self) -> Result<f64, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(syntax(self.position, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let value = if self.accept('-')? {
            -self.unary()?
        } else if self.accept('+')? {
            self.unary()?
        } else {
            self.power()?
        };
        self.depth -= 1;
        Ok(value)
    }

    /// `atom ("^" unary)?`: powers group to the right, so `2^3^2` is 512.
    fn power(&mut self) -> Result<f64, Error> {
        let base = self.atom()?;
        if !self.accept('^')? {
            return Ok(base);
        }
        let exponent = self.unary()?;
        if base == 0.0 && exponent < 0.0 {
            return Err(Error::DivisionByZero);
        }
        real(base.powf(exponent), || format!("{base} ^ {exponent}"))
    }

    /// A number, a constant, a function with its arguments, or a sum in parentheses.
    fn atom(&mut self) -> Result<f64, Error> {
        if self.accept('(')? {
            let value = self.sum()?;
            self.expect(')')?;
            return Ok(value);
        }
        match self.token.clone() {
            Token::Number(value) => {
                self.advance()?;
                Ok(value)
            }
            Token::Name(name) => {
                self.advance()?;
                if self.token == Token::Symbol('(') {
                    let place = self.position;
                    call(&name, &self.arguments()?, place)
                } else {
                    constant(name)
                }
            }
            _ => Err(syntax(self.position, "expected a number, a name or `(`")),
        }
    }

    /// `"(" (sum ("," sum)*)? ")"`
    fn arguments(&mut self) -> Result<Vec<f64>, Error> {
        self.expect('(')?;
        let mut arguments = Vec::new();
        if self.accept(')')? {
            return Ok(arguments);
        }
        loop {
            arguments.push(self.sum()?);
            if !self.accept(',')? {
                self.expect(')')?;
                return Ok(arguments);
            }
        }
    }

    fn accept(&mut self, symbol: char) -> Result<bool, Error> {
        let found = self.token == Token::Symbol(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: char) -> Result<(), Error> {
        if self.accept(symbol)? {
            Ok(())
        } else {
            Err(syntax(self.position, format!("expected `{symbol}`")))
        }
    }

    fn advance(&mut self) -> Result<(), Error> {
        (self.token, self.position) = self.lexer.next()?;
        Ok(())
    }
}

fn constant(name: String) -> Result<f64, Error> {
    match name.as_str() {
        "pi" => Ok(std::f64::consts::PI),
        "e" => Ok(std::f64::consts::E),
        _ => Err(Error::UnknownName(name)),
    }
}

/// Calls a function by its name; `place` is where its arguments begin.
fn call(name: &str, arguments: &[f64], place: u32) -> Result<f64, Error> {
    let value = match (name, arguments) {
        ("max", [first, rest @ ..]) => rest.iter().copied().fold(*first, f64::max),
        ("min", [first, rest @ ..]) => rest.iter().copied().fold(*first, f64::min),
        ("max" | "min", []) => return Err(syntax(place, format!("`{name}` takes one argument or more"))),
        (_, _) => {
            let function: fn(f64) -> f64 = match name {
                "abs" => f64::abs,
                "ceil" => f64::ceil,
                "cos" => f64::cos,
                "exp" => f64::exp,
                "floor" => f64::floor,
                "ln" => f64::ln,
                "log10" => f64::log10,
                "round" => f64::round,
                "sin" => f64::sin,
                "sqrt" => f64::sqrt,
                "tan" => f64::tan,
                _ => return Err(Error::UnknownName(name.to_owned())),
            };
            let [argument] = arguments else {
                return Err(syntax(place, format!("`{name}` takes one argument")));
            };
            if matches!(name, "ln" | "log10") && *argument <= 0.0 {
                return Err(Error::OutOfDomain(format!("{name}({argument})")));
            }
            function(*argument)
        }
    };
    real(value, || format!("{name}({arguments:?})"))
}

/// The value, unless the operation has none in the real numbers.
fn real(value: f64, operation: impl FnOnce() -> String) -> Result<f64, Error> {
    if value.is_nan() {
        Err(Error::OutOfDomain(operation()))
    } else {
        finite(value)
    }
}

fn finite(value: f64) -> Result<f64, Error> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(Error::Overflow)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn operators_bind_as_in_mathematics() {
        for (expression, value) in [
            ("1 + 2 * 3", 7.0),
            ("(1 + 2) * 3", 9.0),
            ("-2 ^ 2", -4.0),
            ("2 ^ 3 ^ 2", 512.0),
            ("2 ^ -1", 0.5),
            ("10 - 4 - 3", 3.0),
            ("7 % 4", 3.0),
            ("--3", 3.0),
            (".5 + 1.5e1", 15.5),
            ("2 * (3 + sqrt(16)) ^ 2", 98.0),
            ("max(1, 2 + 3, 4) - min(7, 2)", 3.0),
            ("cos(pi)", -1.0),
            ("ln(e)", 1.0),
        ] {
            assert_eq!(evaluate(expression).unwrap(), value, "{expression}");
        }
    }

    #[test]
    fn a_syntax_error_tells_its_place() {
        for (expression, place) in [
            ("", 1),
            ("1 +", 4),
            ("(1", 3),
            ("1 2", 3),
            ("2 $ 3", 3),
            ("1..2", 1),
            ("sqrt(1, 2)", 5),
            ("max()", 4),
        ] {
            match evaluate(expression) {
                Err(Error::Syntax(error)) => assert_eq!(error.position, place, "{expression}: {}", error.message),
                other => panic!("{expression}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_has_no_value_is_a_typed_error() {
        assert!(matches!(evaluate("1 / (2 - 2)"), Err(Error::DivisionByZero)));
        assert!(matches!(evaluate("1 % 0"), Err(Error::DivisionByZero)));
        assert!(matches!(evaluate("0 ^ -1"), Err(Error::DivisionByZero)));
        assert!(matches!(evaluate("sqrt(-1)"), Err(Error::OutOfDomain(_))));
        assert!(matches!(evaluate("(-8) ^ 0.5"), Err(Error::OutOfDomain(_))));
        assert!(matches!(evaluate("ln(0)"), Err(Error::OutOfDomain(_))));
        assert!(matches!(evaluate("10 ^ 400"), Err(Error::Overflow)));
        assert!(matches!(evaluate("1e400"), Err(Error::Overflow)));
        assert!(matches!(evaluate("tau"), Err(Error::UnknownName(name)) if name == "tau"));
    }

    #[test]
    fn deep_nesting_is_refused_before_the_stack_is_exhausted() {
        for deep in ["(".repeat(100_000), "-".repeat(100_000), "2^".repeat(100_000)] {
            assert!(matches!(evaluate(&deep), Err(Error::Syntax(_))));
        }
    }
}
