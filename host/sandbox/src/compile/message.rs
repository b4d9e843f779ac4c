//! What the compiler's process is asked and what it answers, as bytes on pipes.

use crate::engine::Variant;
use crate::fault;
use fusebox_engine::ports::sandbox::LoadError;
use std::io::{self, Read, Write};
use std::time::Duration;

/// First bytes of a request and of an answer; the number changes with the format.
const MAGIC: [u8; 8] = *b"FBXCMP01";
/// Codes that an answer may carry; any other comes from a program that is no compiler of ours.
const CODES: [&str; 9] = [
    "FB0501", "FB0502", "FB0503", "FB0504", "FB0505", "FB0506", "FB0507", "FB0508", "FB0509",
];

/// What to compile, and within which limits.
pub(super) struct Request {
    pub(super) variant: Variant,
    pub(super) memory: u64,
    pub(super) time: Duration,
}

impl Request {
    /// The bytes before the component.
    pub(super) fn head(&self, size: u64) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        head.push(match self.variant {
            Variant::Plain => 0,
            Variant::Fueled => 1,
            Variant::Debug => 2,
        });
        head.extend_from_slice(&self.memory.to_le_bytes());
        head.extend_from_slice(&self.time.as_secs().to_le_bytes());
        head.extend_from_slice(&size.to_le_bytes());
        head
    }

    /// Reads the head, and the size of the component that follows.
    pub(super) fn read(from: &mut impl Read) -> io::Result<(Self, u64)> {
        let unknown = || io::Error::new(io::ErrorKind::InvalidData, "this is no request to compile");
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(unknown());
        }
        let mut variant = [0];
        from.read_exact(&mut variant)?;
        let variant = match variant[0] {
            0 => Variant::Plain,
            1 => Variant::Fueled,
            2 => Variant::Debug,
            _ => return Err(unknown()),
        };
        let memory = number(from)?;
        let time = Duration::from_secs(number(from)?);
        Ok((Self { variant, memory, time }, number(from)?))
    }
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Writes an answer: the code of a failure, or none, then the length and the bytes.
pub(super) fn write_answer(to: &mut impl Write, answer: &Result<Vec<u8>, LoadError>) -> io::Result<()> {
    let (code, bytes) = match answer {
        Ok(code) => ("------", code.as_slice()),
        Err(error) => (error.code, error.message.as_bytes()),
    };
    to.write_all(&MAGIC)?;
    to.write_all(code.as_bytes())?;
    to.write_all(&(bytes.len() as u64).to_le_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// Reads an answer; `None` when it is not whole.
pub(super) fn answer(mut bytes: Vec<u8>) -> Option<Result<Vec<u8>, LoadError>> {
    const HEAD: usize = MAGIC.len() + 6 + 8;
    let head = bytes.get(..HEAD)?;
    let (magic, rest) = head.split_at(MAGIC.len());
    let (code, length) = rest.split_at(6);
    if magic != MAGIC || u64::from_le_bytes(length.try_into().ok()?) != (bytes.len() - HEAD) as u64 {
        return None;
    }
    let code = CODES.into_iter().find(|known| known.as_bytes() == code);
    let failed = &head[MAGIC.len()..MAGIC.len() + 6] != b"------";
    let body = bytes.split_off(HEAD);
    Some(match (failed, code) {
        (false, _) => Ok(body),
        (true, Some(code)) => Err(LoadError {
            code,
            message: String::from_utf8_lossy(&body).into_owned(),
        }),
        (true, None) => Err(fault::host("the compiler is of another version of Fusebox")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_and_both_answers_survive_the_pipe() {
        let request = Request {
            variant: Variant::Fueled,
            memory: 7,
            time: Duration::from_secs(9),
        };
        let (read, size) = Request::read(&mut request.head(5).as_slice()).unwrap();
        assert_eq!(
            (read.variant, read.memory, read.time, size),
            (Variant::Fueled, 7, Duration::from_secs(9), 5)
        );
        for sent in [Ok(vec![1, 2, 3]), Err(fault::core_module())] {
            let mut bytes = Vec::new();
            write_answer(&mut bytes, &sent).unwrap();
            assert_eq!(answer(bytes.clone()), Some(sent));
            bytes.pop();
            assert_eq!(answer(bytes), None);
        }
    }
}
