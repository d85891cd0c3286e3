//! Every way to read a place.

use driver_core::Order;

use super::expect::Expected;

/// One way to read the place, or one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: String,
    /// The place without a type, such as `hr:100`.
    pub(super) place: String,
    /// How far from the place that was asked for, in registers or bytes.
    pub(super) shift: i64,
    pub(super) data_type: String,
    pub(super) order: Order,
}

impl Candidate {
    /// Where it lies from what was asked for, in words; nothing where it is that.
    pub(super) fn beside(&self) -> String {
        match self.shift {
            0 => String::new(),
            shift if shift < 0 => format!("({} before)", -shift),
            shift => format!("({shift} behind)"),
        }
    }
}

const TYPES: [&str; 9] = ["INT", "UINT", "DINT", "UDINT", "REAL", "LINT", "ULINT", "LREAL", "F16"];
const SHIFTS: [i64; 3] = [0, -1, 1];

/// All that `is_read` agrees to, the driver's own words first.
pub(super) fn candidates(
    canonical: &str,
    expected: Option<&Expected>,
    is_read: impl Fn(&str) -> bool,
) -> Vec<Candidate> {
    let Some(place) = Place::of(canonical) else {
        let (place, order) = (canonical.to_owned(), Order::Abcd);
        return vec![Candidate { address: place.clone(), place, shift: 0, data_type: "as it is".into(), order }];
    };
    let text = expected.and_then(Expected::text_bytes).map(|bytes| format!("STRING({})", bytes.next_multiple_of(2)));
    let types: Vec<String> = match place.kind {
        Kind::Bits => vec!["BOOL".into()],
        Kind::Registers | Kind::Bytes => TYPES.iter().map(|name| (*name).to_owned()).chain(text).collect(),
    };
    let mut all = Vec::new();
    for shift in SHIFTS {
        let Some(number) = place.number.checked_add_signed(shift) else { continue };
        for data_type in &types {
            for order in orders(place.kind, data_type) {
                let (place, address) = place.address(number, data_type, *order);
                if is_read(&address) {
                    all.push(Candidate { address, place, shift, data_type: data_type.clone(), order: *order });
                }
            }
        }
    }
    all
}

fn orders(kind: Kind, data_type: &str) -> &'static [Order] {
    match (kind, data_type) {
        (Kind::Bits, _) => &[Order::Abcd],
        (Kind::Registers, "INT" | "UINT" | "F16") => &[Order::Abcd, Order::Badc],
        (Kind::Registers, name) if name.starts_with("STRING") => &[Order::Abcd, Order::Badc],
        (Kind::Registers, _) => &Order::ALL,
        (Kind::Bytes, name) if name.starts_with("STRING") => &[Order::Abcd],
        (Kind::Bytes, _) => &[Order::Abcd, Order::Dcba],
    }
}

/// What a place is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Registers,
    Bits,
    Bytes,
}

/// A place whose number can be moved: `hr:100`, `DB1.DBD4`, `MW10`.
struct Place<'a> {
    kind: Kind,
    /// What stands before the number, without a width.
    head: &'a str,
    number: u64,
}

impl<'a> Place<'a> {
    /// From a driver's own notation; none where there is nothing to move, as with a node of OPC UA.
    fn of(canonical: &'a str) -> Option<Place<'a>> {
        let unit = canonical.find('!').map_or(0, |at| at + 1);
        let digits = |from: usize| canonical[from..].bytes().take_while(u8::is_ascii_digit).count();
        for (name, kind) in
            [("hr:", Kind::Registers), ("ir:", Kind::Registers), ("co:", Kind::Bits), ("di:", Kind::Bits)]
        {
            if canonical[unit..].starts_with(name) {
                let from = unit + name.len();
                let number = canonical[from..from + digits(from)].parse().ok()?;
                return Some(Place { kind, head: &canonical[..from], number });
            }
        }
        let head = match canonical.find(".DB") {
            Some(at) if canonical.starts_with("DB") => at + 3,
            _ => ["PI", "M", "I", "Q"].into_iter().find(|area| canonical.starts_with(area))?.len(),
        };
        let width = usize::from(canonical[head..].starts_with(['X', 'B', 'W', 'D']));
        let from = head + width;
        let number = canonical[from..from + digits(from)].parse().ok()?;
        Some(Place { kind: Kind::Bytes, head: &canonical[..head], number })
    }

    /// The place and the address of a value there.
    fn address(&self, number: u64, data_type: &str, order: Order) -> (String, String) {
        let order = if order == Order::Abcd { String::new() } else { format!("@{order}") };
        match self.kind {
            Kind::Bits => (format!("{}{number}", self.head), format!("{}{number}", self.head)),
            Kind::Registers => (format!("{}{number}", self.head), format!("{}{number}:{data_type}{order}", self.head)),
            Kind::Bytes => (format!("{}B{number}", self.head), format!("{}B{number}:{data_type}{order}", self.head)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(canonical: &str) -> Vec<String> {
        candidates(canonical, None, |_| true).into_iter().map(|candidate| candidate.address).collect()
    }

    #[test]
    fn registers_are_read_in_every_order_and_one_beside() {
        let all = addresses("hr:100:REAL");
        assert_eq!(all.len(), 3 * (3 * 2 + 6 * 4));
        for one in ["hr:100:REAL@CDAB", "hr:99:LREAL@DCBA", "hr:101:INT", "hr:100:F16@BADC"] {
            assert!(all.iter().any(|address| address == one), "{one}");
        }
        assert!(addresses("hr:0:INT").iter().all(|address| !address.starts_with("hr:-")));
        assert_eq!(addresses("2!co:7"), ["2!co:7", "2!co:6", "2!co:8"]);
    }

    #[test]
    fn places_of_s7_are_bytes() {
        let all = addresses("DB1.DBD4:REAL");
        for one in ["DB1.DBB4:REAL", "DB1.DBB4:REAL@DCBA", "DB1.DBB3:DINT"] {
            assert!(all.iter().any(|address| address == one), "{one}");
        }
        assert!(addresses("MW10:INT").contains(&"MB10:INT".into()));
        assert!(addresses("I0.0").contains(&"IB0:UINT".into()));
    }

    #[test]
    fn what_cannot_be_moved_is_read_as_it_is() {
        assert_eq!(addresses("ns=2;s=Tank.Level"), ["ns=2;s=Tank.Level"]);
        assert_eq!(addresses("T5"), ["T5"]);
    }
}
