use proptest::prelude::*;

use super::*;

const MD5: &str = "900150983cd24fb0d6963f7d28e17f72";
const ONE: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const TWO: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn chosen(text: &str, name: &str) -> Result<String, Error> {
    let list = Source::Path("SHA256SUMS".into());
    choose(&parse(text.as_bytes()), &list, name).map(|digest| digest.hex())
}

#[test]
fn the_entry_is_chosen_by_the_name() {
    for text in [
        format!("{ONE}  a.img\n{TWO}  b.img\n"),
        format!("{ONE} *a.img\r\n{TWO} *b.img\r\n"),
        format!("# made by hand\n\n{ONE}\ta.img\n{TWO} b.img"),
        format!("SHA256 (a.img) = {ONE}\nSHA256 (b.img) = {TWO}\n"),
        format!("SHA2-256(a.img)= {ONE}\nSHA256(b.img)= {TWO}\n"),
        format!("{}  ./images/a.img\n{}  ./images/b.img\n", ONE.to_uppercase(), TWO.to_uppercase()),
        format!("\u{feff}{ONE}  a.img\n{TWO}  b.img\n"),
    ] {
        assert_eq!(chosen(&text, "a.img").unwrap(), ONE, "{text}");
        assert_eq!(chosen(&text, "b.img").unwrap(), TWO, "{text}");
    }
}

#[test]
fn names_with_spaces_and_brackets_are_kept() {
    let text = format!("{ONE}  a (1) b.img\nSHA256 (b (2).img) = {TWO}\n");
    assert_eq!(chosen(&text, "a (1) b.img").unwrap(), ONE);
    assert_eq!(chosen(&text, "b (2).img").unwrap(), TWO);
}

#[test]
fn a_clear_signed_list_is_read_between_the_armour() {
    let text = format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# a.img: 3 bytes\nSHA256 (a.img) = {ONE}\n\
         -----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n-----END PGP SIGNATURE-----\n"
    );
    assert_eq!(chosen(&text, "a.img").unwrap(), ONE);
}

#[test]
fn a_digest_alone_counts_for_any_name() {
    assert_eq!(chosen(&format!("{ONE}\n"), "a.img").unwrap(), ONE);
    assert_eq!(chosen(&format!("{ONE}\n{MD5}"), "a.img").unwrap(), ONE);
}

#[test]
fn the_strongest_digest_of_a_name_counts() {
    let text = format!("MD5 (a.img) = {MD5}\nSHA256 (a.img) = {ONE}\n");
    assert_eq!(chosen(&text, "a.img").unwrap(), ONE);
}

#[test]
fn the_exact_name_goes_before_the_same_name_in_a_folder() {
    let text = format!("{TWO}  old/a.img\n{ONE}  a.img\n");
    assert_eq!(chosen(&text, "a.img").unwrap(), ONE);
}

#[test]
fn a_list_without_the_name_says_what_it_has() {
    // One named entry does not count for another name: that is how an old list passes for a new one.
    let error = chosen(&format!("{ONE}  b.img\n"), "a.img").unwrap_err();
    assert!(error.is_checksum());
    assert!(error.to_string().contains("a.img"), "{error}");
    assert!(error.hint().unwrap().contains("b.img"));
    // Nor does a digest alone beside named ones.
    assert!(matches!(chosen(&format!("{ONE}\n{TWO}  b.img\n"), "a.img"), Err(Error::NotInList { .. })));
}

#[test]
fn a_file_that_is_no_list_is_told() {
    for text in ["", "<html>404</html>", "12ab  a.img\n", &format!("SHA1 (a.img) = {ONE}")] {
        let error = chosen(text, "a.img").unwrap_err();
        assert!(matches!(error, Error::EmptyList { .. }) && error.is_checksum(), "{error}");
    }
}

#[test]
fn two_digests_for_one_name_are_refused() {
    let text = format!("{ONE}  x/a.img\n{TWO}  y/a.img\n");
    assert!(matches!(chosen(&text, "a.img"), Err(Error::Ambiguous { .. })));
    assert_eq!(chosen(&format!("{ONE}  x/a.img\n{ONE}  y/a.img\n"), "a.img").unwrap(), ONE);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
        let entries = parse(&bytes);
        let _ = choose(&entries, &Source::Path("list".into()), "a.img");
    }

    #[test]
    fn any_lines_are_read_without_panic(text in r"((SHA256|md5|[(]|[)]|=| |\*|[0-9a-f]{64}|\PC){0,8}[\r\n]){0,8}") {
        parse(text.as_bytes());
    }

    #[test]
    fn every_name_of_a_list_is_found(names in proptest::collection::btree_set("[a-z0-9._-]{1,12}", 1..9)) {
        let digest = |index: usize| format!("{index:064x}");
        let text: String =
            names.iter().enumerate().map(|(index, name)| format!("{}  {name}\n", digest(index))).collect();
        for (index, name) in names.iter().enumerate() {
            prop_assert_eq!(chosen(&text, name).unwrap(), digest(index));
        }
    }
}
