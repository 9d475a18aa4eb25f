//! Takes PES packets apart (ISO/IEC 13818-1 clause 2.4.3.6): joins the payloads of one PID and keeps where each unit
//! starts and what time it says.

/// Where one PES payload lies in [`Pes::es`], with its raw 33-bit times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    pub start: usize,
    pub end: usize,
    pub pts: Option<u64>,
    pub dts: Option<u64>,
    /// Bytes are missing: lost packets, or fewer than PES_packet_length promised.
    pub torn: bool,
}

/// Collects one PID.
#[derive(Default)]
pub struct Pes {
    /// Payloads end to end.
    pub es: Vec<u8>,
    pub units: Vec<Unit>,
    /// PES packets without a usable header.
    pub broken: u64,
    pub scrambled: bool,
    state: State,
    /// A header that goes over a packet's end.
    header: Vec<u8>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Between units, or inside one whose header is unusable: bytes are let go.
    #[default]
    Idle,
    Header,
    /// Bytes still promised; None: until the next start (PES_packet_length 0).
    Body {
        left: Option<usize>,
    },
}

impl Pes {
    /// A packet with payload_unit_start_indicator.
    pub fn start(&mut self, payload: &[u8]) {
        self.finish();
        self.header.clear();
        self.state = State::Header;
        self.push(payload);
    }

    /// The next bytes of the unit.
    pub fn push(&mut self, payload: &[u8]) {
        match self.state {
            State::Idle => {}
            State::Header => self.push_header(payload),
            State::Body { left: None } => self.es.extend_from_slice(payload),
            State::Body { left: Some(left) } => {
                let taken = payload.len().min(left);
                self.es.extend_from_slice(payload.get(..taken).unwrap_or_default());
                self.state = State::Body { left: Some(left - taken) };
            }
        }
    }

    /// Packets of this PID were lost; what is being collected misses bytes.
    pub fn lost(&mut self) {
        match self.state {
            State::Idle => {}
            State::Header => self.broken += 1,
            State::Body { .. } => {
                // What comes after the hole is let go: nothing in it can be placed.
                if let Some(unit) = self.units.last_mut() {
                    unit.torn = true;
                    unit.end = self.es.len();
                }
            }
        }
        self.state = State::Idle;
    }

    /// Ends the unit being collected: at the next start and at the end of the stream.
    pub fn finish(&mut self) {
        match self.state {
            State::Idle => {}
            State::Header => self.broken += 1,
            State::Body { left } => {
                if let Some(unit) = self.units.last_mut() {
                    unit.end = self.es.len();
                    unit.torn |= left.is_some_and(|left| left > 0);
                }
            }
        }
        self.state = State::Idle;
    }

    fn push_header(&mut self, payload: &[u8]) {
        let joined;
        let bytes = if self.header.is_empty() {
            payload
        } else {
            self.header.extend_from_slice(payload);
            joined = std::mem::take(&mut self.header);
            &joined
        };
        match parse_header(bytes) {
            Header::Short => self.header = bytes.to_vec(),
            Header::Unusable => {
                self.broken += 1;
                self.state = State::Idle;
            }
            Header::Scrambled => {
                self.scrambled = true;
                self.state = State::Idle;
            }
            Header::Whole { bytes: header_bytes, body_bytes, pts, dts } => {
                let start = self.es.len();
                self.units.push(Unit { start, end: start, pts, dts, torn: false });
                self.state = State::Body { left: body_bytes };
                self.push(bytes.get(header_bytes..).unwrap_or_default());
            }
        }
    }
}

enum Header {
    /// More bytes are needed.
    Short,
    Unusable,
    Scrambled,
    Whole {
        bytes: usize,
        /// None: unbounded.
        body_bytes: Option<usize>,
        pts: Option<u64>,
        dts: Option<u64>,
    },
}

fn parse_header(bytes: &[u8]) -> Header {
    let Some(&[b0, b1, b2, stream_id, length_high, length_low, flags, more_flags, header_length]) =
        bytes.first_chunk::<9>()
    else {
        return Header::Short;
    };
    if [b0, b1, b2] != [0, 0, 1] || !has_optional_header(stream_id) || flags & 0xc0 != 0x80 {
        return Header::Unusable;
    }
    if flags & 0x30 != 0 {
        return Header::Scrambled;
    }
    let header_bytes = 9 + usize::from(header_length);
    let Some(fields) = bytes.get(9..header_bytes) else { return Header::Short };
    let packet_length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let body_bytes = match packet_length {
        0 => None,
        length => match (length + 6).checked_sub(header_bytes) {
            Some(body_bytes) => Some(body_bytes),
            None => return Header::Unusable,
        },
    };
    let pts = if more_flags & 0x80 != 0 { fields.first_chunk().map(time) } else { None };
    let dts =
        if more_flags & 0xc0 == 0xc0 { fields.get(5..).and_then(|rest| rest.first_chunk()).map(time) } else { None };
    Header::Whole { bytes: header_bytes, body_bytes, pts, dts }
}

/// Not so for program maps, padding, private_stream_2, ECM, EMM, DSM-CC, H.222.1 type E and the directory (table 2-22).
fn has_optional_header(stream_id: u8) -> bool {
    !matches!(stream_id, 0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff)
}

/// 33 bits in five bytes, with a marker bit after each part.
pub fn time(bytes: &[u8; 5]) -> u64 {
    let [b0, b1, b2, b3, b4] = bytes.map(u64::from);
    (b0 >> 1 & 7) << 30 | b1 << 22 | b2 >> 1 << 15 | b3 << 7 | b4 >> 1
}
