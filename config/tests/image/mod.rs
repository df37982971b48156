//! A small image for the configuration to speak of.

use pintle_config::compile::{Access, Tree};

pub(crate) struct Image;

impl Tree for Image {
    fn access(&self, path: &str) -> Access {
        match path {
            "/usr/lib/pintle/pintle-fetch" => Access::Executable,
            "/etc/ssl/certs/ca-certificates.crt" => Access::NotExecutable,
            "/etc/ssl/certs" => Access::NotAFile,
            "/usr/bin/app" | "/usr/bin/script" | "/usr/bin/script-of-nothing" => Access::Executable,
            "/etc/passwd" | "/etc/group" => Access::NotExecutable,
            "/usr/bin" => Access::NotAFile,
            _ => Access::Missing,
        }
    }

    fn read(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        let text = match path {
            "/etc/passwd" => "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/var/www:/bin/false\n",
            "/etc/group" => "root:x:0:\nweb:x:33:\nvideo:x:44:web\naudio:x:29:\n",
            "/usr/share/zoneinfo/Europe/Berlin" => "TZif2\n\nCET-1CEST,M3.5.0,M10.5.0/3\n",
            "/usr/share/zoneinfo/Broken" => "TZif2\n\nCET-1CEST,M3.5.0\n",
            "/usr/bin/script" => "#!/usr/bin/app -x\n",
            "/usr/bin/script-of-nothing" => "#!/bin/nothing\n",
            _ => return None,
        };
        prefix(text, limit)
    }

    fn read_elsewhere(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        match path {
            "/usr/share/zoneinfo/Asia/Tehran" => prefix("TZif2\n\n<+0330>-3:30\n", limit),
            _ => None,
        }
    }
}

fn prefix(text: &str, limit: usize) -> Option<Vec<u8>> {
    text.as_bytes().get(..text.len().min(limit)).map(<[u8]>::to_vec)
}
