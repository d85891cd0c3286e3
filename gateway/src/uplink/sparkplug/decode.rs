//! What comes from a host application: the payload of NCMD and DCMD, bounded, and read no further than is needed.

use driver_core::Value;

use super::metric::Element;
use super::wire::read_varint;

/// How many metrics one command may have.
pub const METRICS_MAX: usize = 1_024;

/// The longest name or text, bytes.
const TEXT_BYTES_MAX: usize = 4_096;

/// A command's payload.
#[derive(Debug, Default, PartialEq)]
pub struct Commanded {
    /// When it was sent, milliseconds since 1970.
    pub time_ms: Option<u64>,
    /// What shall be written.
    pub metrics: Vec<Wanted>,
}

/// A metric that shall be written.
#[derive(Debug, Default, PartialEq)]
pub struct Wanted {
    /// Its name, where it is named.
    pub name: Option<String>,
    /// Its alias, where it is numbered.
    pub alias: Option<u64>,
    /// When the host wanted it, milliseconds since 1970.
    pub time_ms: Option<u64>,
    /// The type that the host names.
    datatype: Option<u64>,
    value: Option<Raw>,
}

/// A value as it came.
#[derive(Debug, Clone, PartialEq)]
enum Raw {
    Int(u32),
    Long(u64),
    Float(f32),
    Double(f64),
    Bool(bool),
    Text(String),
}

/// Bytes that are no Sparkplug payload, or more than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub &'static str);

const CUT: Unreadable = Unreadable("the payload is no Sparkplug B: it ends too early");

/// Reads a payload.
pub fn read(bytes: &[u8]) -> Result<Commanded, Unreadable> {
    let mut commanded = Commanded::default();
    fields(bytes, |field| {
        match field {
            (1, Content::Number(time_ms)) => commanded.time_ms = Some(time_ms),
            (2, Content::Bytes(_)) if commanded.metrics.len() >= METRICS_MAX => {
                return Err(Unreadable("the command has more metrics than are taken at once: 1024"));
            }
            (2, Content::Bytes(metric)) => commanded.metrics.push(wanted(metric)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(commanded)
}

fn wanted(bytes: &[u8]) -> Result<Wanted, Unreadable> {
    let mut wanted = Wanted::default();
    fields(bytes, |field| {
        match field {
            (1, Content::Bytes(name)) => wanted.name = Some(text(name)?),
            (2, Content::Number(alias)) => wanted.alias = Some(alias),
            (3, Content::Number(time_ms)) => wanted.time_ms = Some(time_ms),
            (4, Content::Number(datatype)) => wanted.datatype = Some(datatype),
            (10, Content::Number(number)) => wanted.value = Some(Raw::Int(number as u32)),
            (11, Content::Number(number)) => wanted.value = Some(Raw::Long(number)),
            (12, Content::Four(number)) => wanted.value = Some(Raw::Float(f32::from_le_bytes(number))),
            (13, Content::Eight(number)) => wanted.value = Some(Raw::Double(f64::from_le_bytes(number))),
            (14, Content::Number(bit)) => wanted.value = Some(Raw::Bool(bit != 0)),
            (15, Content::Bytes(bytes)) => wanted.value = Some(Raw::Text(text(bytes)?)),
            _ => {}
        }
        Ok(())
    })?;
    Ok(wanted)
}

fn text(bytes: &[u8]) -> Result<String, Unreadable> {
    if bytes.len() > TEXT_BYTES_MAX {
        return Err(Unreadable("a name or text of the command has more than 4096 bytes"));
    }
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Unreadable("a text of the command is no UTF-8"))
}

impl Wanted {
    /// The value, as the type says that stands beside it, or as it is encoded where none does; `None` for null, and for
    /// what this gateway cannot write.
    pub fn value(&self) -> Option<Value> {
        let element = self.datatype.and_then(Element::from_code);
        Some(match self.value.clone()? {
            Raw::Bool(bit) => Value::Bool(bit),
            Raw::Text(text) => Value::Text(text.into()),
            Raw::Float(number) => Value::Real(number),
            Raw::Double(number) => Value::LReal(number),
            Raw::Int(number) => match element {
                Some(Element::Int8 | Element::Int16 | Element::Int32) | None => Value::Int((number as i32).into()),
                Some(_) => Value::UInt(number.into()),
            },
            Raw::Long(number) => match element {
                Some(Element::DateTime) => Value::DateTime((number as i64).checked_mul(1_000_000)?),
                // Eclipse Tahu writes UInt32 as a long.
                Some(Element::UInt8 | Element::UInt16 | Element::UInt32 | Element::UInt64) => Value::UInt(number),
                _ => Value::Int(number as i64),
            },
        })
    }
}

/// The content of a field, by its wire type.
enum Content<'a> {
    Number(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

fn fields<'a>(
    mut bytes: &'a [u8],
    mut take: impl FnMut((u64, Content<'a>)) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    while !bytes.is_empty() {
        let tag = number(&mut bytes)?;
        let content = match tag & 7 {
            0 => Content::Number(number(&mut bytes)?),
            1 => Content::Eight(fixed(&mut bytes)?),
            2 => {
                let length = usize::try_from(number(&mut bytes)?).map_err(|_| CUT)?;
                let (head, tail) = bytes.split_at_checked(length).ok_or(CUT)?;
                bytes = tail;
                Content::Bytes(head)
            }
            5 => Content::Four(fixed(&mut bytes)?),
            _ => return Err(Unreadable("the payload is no Sparkplug B: it has a field of an unknown kind")),
        };
        take((tag >> 3, content))?;
    }
    Ok(())
}

fn number(bytes: &mut &[u8]) -> Result<u64, Unreadable> {
    let (number, size) = read_varint(bytes).ok_or(CUT)?;
    *bytes = &bytes[size..];
    Ok(number)
}

fn fixed<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Unreadable> {
    let (head, tail) = bytes.split_first_chunk::<N>().ok_or(CUT)?;
    *bytes = tail;
    Ok(*head)
}

#[cfg(test)]
mod tests {
    use super::super::testkit::command;
    use super::*;

    #[test]
    fn a_command_of_prosts_is_read() {
        let wanted = [
            (Some("a"), None, Value::Int(-5)),
            (None, Some(7), Value::UInt(u64::MAX)),
            (Some("c"), Some(1), Value::Real(0.5)),
            (Some("d"), None, Value::LReal(0.25)),
            (Some("e"), None, Value::Bool(true)),
            (Some("f"), None, Value::Text("on".into())),
        ];
        let commanded = read(&command(&wanted)).expect("a command");
        assert_eq!((commanded.time_ms, commanded.metrics.len()), (Some(1_795_400_913_123), wanted.len()));
        for (metric, (name, alias, value)) in commanded.metrics.iter().zip(&wanted) {
            assert_eq!((metric.name.as_deref(), metric.alias), (*name, *alias));
            assert_eq!(metric.value().as_ref(), Some(value));
        }
    }

    #[test]
    fn what_is_cut_or_too_much_is_refused() {
        let whole = command(&[(Some("setpoint"), None, Value::Real(0.5))]);
        let cut = |length: usize| read(&whole[..length]);
        assert!((1..whole.len()).filter(|length| cut(*length).is_err()).count() > whole.len() / 2);
        assert!(read(&[0x13, 0]).is_err(), "a group");
        assert!(read(&[0x12, 0].repeat(METRICS_MAX)).is_ok());
        assert!(read(&[0x12, 0].repeat(METRICS_MAX + 1)).is_err());
        let long = command(&[(Some(&"x".repeat(5_000)), None, Value::Int(1))]);
        assert!(read(&long).is_err());
        assert_eq!(read(b"").expect("nothing is asked").metrics.len(), 0);
    }
}
