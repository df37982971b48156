//! Tars made field by field, so that every one of them can be wrong.

/// One entry, with the headers that describe it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) header: Header,
    /// Records of a PAX header in front of it, if any.
    pax: Vec<u8>,
    /// Entries in front of it, as they are.
    before: Vec<u8>,
    data: Vec<u8>,
}

/// The fields of a ustar header, as they are written.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) link: Vec<u8>,
    pub(crate) mode: [u8; 8],
    pub(crate) uid: [u8; 8],
    pub(crate) gid: [u8; 8],
    pub(crate) size: [u8; 12],
    pub(crate) mtime: [u8; 12],
    pub(crate) major: [u8; 8],
    pub(crate) minor: [u8; 8],
    pub(crate) magic: [u8; 8],
    /// Everything behind the device numbers.
    pub(crate) tail: Vec<u8>,
}

impl Header {
    fn new(name: &[u8], kind: u8) -> Self {
        Self {
            name: name.to_vec(),
            kind,
            link: Vec::new(),
            mode: octal(0o644),
            uid: octal(0),
            gid: octal(0),
            size: octal(0),
            mtime: octal(0),
            major: octal(0),
            minor: octal(0),
            magic: *b"ustar\x0000",
            tail: Vec::new(),
        }
    }

    /// The block, with the right checksum.
    pub(crate) fn block(&self) -> [u8; 512] {
        let mut block = [0; 512];
        let mut at = 0;
        let mut put = |bytes: &[u8], width: usize| {
            assert!(bytes.len() <= width);
            block[at..at + bytes.len()].copy_from_slice(bytes);
            at += width;
        };
        put(&self.name, 100);
        put(&self.mode, 8);
        put(&self.uid, 8);
        put(&self.gid, 8);
        put(&self.size, 12);
        put(&self.mtime, 12);
        put(b"        ", 8);
        put(&[self.kind], 1);
        put(&self.link, 100);
        put(&self.magic, 8);
        put(b"", 64);
        put(&self.major, 8);
        put(&self.minor, 8);
        put(&self.tail, 167);
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        block
    }
}

/// A number as a field of that width holds it.
pub(crate) fn octal<const WIDTH: usize>(number: u64) -> [u8; WIDTH] {
    let digits = format!("{number:0width$o}\0", width = WIDTH - 1);
    digits.into_bytes().try_into().expect("a number that fits")
}

/// A number in base 256.
pub(crate) fn base_256<const WIDTH: usize>(number: i128) -> [u8; WIDTH] {
    let bytes = number.to_be_bytes();
    let mut field: [u8; WIDTH] = bytes[16 - WIDTH..].try_into().unwrap();
    field[0] |= 0x80;
    field
}

impl Member {
    /// Of any type.
    pub(crate) fn of(kind: u8, name: impl AsRef<[u8]>) -> Self {
        let header = Header::new(name.as_ref(), kind);
        Self { header, pax: Vec::new(), before: Vec::new(), data: Vec::new() }
    }

    pub(crate) fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        let mut member = Self::of(b'0', name);
        member.header.size = octal(data.as_ref().len() as u64);
        member.data = data.as_ref().to_vec();
        member
    }

    pub(crate) fn directory(name: impl AsRef<[u8]>) -> Self {
        Self::of(b'5', name).mode(0o755)
    }

    pub(crate) fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::of(b'2', name).link(target).mode(0o777)
    }

    pub(crate) fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::of(b'1', name).link(target)
    }

    pub(crate) fn mode(mut self, mode: u64) -> Self {
        self.header.mode = octal(mode);
        self
    }

    pub(crate) fn link(mut self, target: impl AsRef<[u8]>) -> Self {
        self.header.link = target.as_ref().to_vec();
        self
    }

    pub(crate) fn owner(mut self, uid: u64, gid: u64) -> Self {
        (self.header.uid, self.header.gid) = (octal(uid), octal(gid));
        self
    }

    pub(crate) fn mtime(mut self, mtime: u64) -> Self {
        self.header.mtime = octal(mtime);
        self
    }

    pub(crate) fn device(mut self, major: u64, minor: u64) -> Self {
        (self.header.major, self.header.minor) = (octal(major), octal(minor));
        self
    }

    /// What the header says that the data's size is, whatever it is.
    pub(crate) fn stated_size(mut self, size: u64) -> Self {
        self.header.size = octal(size);
        self
    }

    /// Any change of the header.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.header);
        self
    }

    /// A PAX record.
    pub(crate) fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.extend(pax_record(key, value.as_ref()));
        self
    }

    /// Bytes of a PAX header, records or not.
    pub(crate) fn pax_bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.pax.extend(bytes.as_ref());
        self
    }

    /// Another entry in front, between the PAX header and what is described.
    pub(crate) fn after(mut self, before: Member) -> Self {
        self.before.extend(before.bytes());
        self
    }

    /// GNU tar's header for long names (`L`) or link targets (`K`) in front.
    pub(crate) fn gnu_long(self, kind: u8, name: impl AsRef<[u8]>) -> Self {
        let data = [name.as_ref(), b"\0"].concat();
        let long = Self::file("././@LongLink", data).with(|header| {
            header.kind = kind;
            header.magic = *b"ustar  \0";
        });
        self.after(long)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if !self.pax.is_empty() {
            bytes.extend(Self::file("PaxHeader", &self.pax).with(|h| h.kind = b'x').bytes());
        }
        bytes.extend(&self.before);
        bytes.extend(self.header.block());
        bytes.extend(&self.data);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// An archive of these, with its end.
pub(crate) fn tar(members: impl IntoIterator<Item = Member>) -> Vec<u8> {
    let mut bytes: Vec<u8> = members.into_iter().flat_map(|member| member.bytes()).collect();
    bytes.resize(bytes.len() + 1024, 0);
    bytes
}

/// A record with the right length.
pub(crate) fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let whole = |digits: usize| body.len() + digits;
    let digits = (1..).find(|digits| whole(*digits).to_string().len() == *digits).unwrap();
    [whole(digits).to_string().as_bytes(), &body].concat()
}
