//! Makes a disk image larger: `resize-only IMAGE BYTES`. The last partition grows with it, the file system in that does not.

use std::{env, error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [image, bytes] = &arguments[..] else { return Err("usage: resize-only IMAGE BYTES".into()) };
    let last = arm_image_partition::grow(Path::new(image), bytes.parse()?)?;
    println!("partition {} now covers {:?}", last.number, last.range);
    Ok(())
}
