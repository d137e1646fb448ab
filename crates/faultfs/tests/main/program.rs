//! The program under test: this test executable, started again to run a script of file operations.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::process::Command;
use std::thread;

/// The script: one step per line, fields separated by blanks. Runs in the current directory.
pub(crate) const SCRIPT: &str = "FAULTFS_TEST_SCRIPT";

/// The arguments that make this executable run the script.
pub(crate) const ARGUMENTS: [&str; 4] = ["--exact", "program::scripted_program", "--ignored", "--nocapture"];

#[test]
#[ignore = "the program under test, started by the other tests"]
fn scripted_program() {
    let script = env::var(SCRIPT).expect("started by another test");
    for step in script.lines().map(str::trim).filter(|step| !step.is_empty()) {
        match run(step) {
            Ok(()) => println!("step ok: {step}"),
            Err(error) => println!("step failed with {}: {step}", error.raw_os_error().unwrap_or(-1)),
        }
    }
}

fn run(step: &str) -> io::Result<()> {
    let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
    let fields = rest.split(' ').collect::<Vec<_>>();
    match (verb, fields.as_slice()) {
        ("create", [file]) => File::create_new(file).map(drop),
        ("recreate", [file]) => File::create(file).map(drop),
        ("append", [file, text]) => OpenOptions::new().append(true).open(file)?.write_all(text.as_bytes()),
        ("append-durably", [file, text]) => {
            let mut options = OpenOptions::new();
            options.append(true).custom_flags(libc::O_DSYNC).open(file)?.write_all(text.as_bytes())
        }
        ("put", [file, offset, text]) => open(file)?.write_all_at(text.as_bytes(), number(offset)),
        ("fill", [file, page, pages, text]) => {
            let bytes = text.repeat(number(pages) as usize * 4096 / text.len());
            open(file)?.write_all_at(bytes.as_bytes(), number(page) * 4096)
        }
        ("sync", [file]) => open(file)?.sync_all(),
        ("datasync", [file]) => open(file)?.sync_data(),
        ("sync-unreadable", [file]) => OpenOptions::new().write(true).open(file)?.sync_all(),
        ("syncdir", [directory]) => File::open(directory)?.sync_all(),
        ("truncate", [file, bytes]) => open(file)?.set_len(number(bytes)),
        ("allocate", [file, bytes]) => allocate(&open(file)?, number(bytes)),
        ("map", [file, offset, text, flags]) => {
            let flags = if *flags == "sync" { libc::MS_SYNC } else { libc::MS_ASYNC };
            write_mapped(&open(file)?, number(offset) as usize, text.as_bytes(), flags)
        }
        ("rename", [from, to]) => fs::rename(from, to),
        ("link", [from, to]) => fs::hard_link(from, to),
        ("symlink", [target, name]) => std::os::unix::fs::symlink(target, name),
        ("copy", [from, to]) => fs::copy(from, to).map(drop),
        ("unlink", [file]) => fs::remove_file(file),
        ("mkdir", [directory]) => fs::create_dir(directory),
        ("mkdirs", [directory]) => fs::create_dir_all(directory),
        ("rmdir", [directory]) => fs::remove_dir(directory),
        ("rmtree", [directory]) => fs::remove_dir_all(directory),
        ("retry-sync", [file, text]) => write_and_sync_twice(&open(file)?, text, false),
        ("rewrite-sync", [file, text]) => write_and_sync_twice(&open(file)?, text, true),
        ("lock-and-sync", [file]) => lock_and_sync(file),
        ("lock", [file]) => lock(&open(file)?),
        ("threads", [threads, rounds]) => append_and_sync_in_threads(number(threads), number(rounds)),
        ("child", _) => run_in_child(rest).map(drop),
        _ => panic!("`{step}` is not a step"),
    }
}

fn number(field: &str) -> u64 {
    field.parse().expect("a number")
}

fn open(file: &str) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open(file)
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    // SAFETY: touches no memory; the descriptor is open.
    checked(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes as libc::off_t) })
}

/// Flushes the pages written, and no others.
fn write_mapped(file: &File, offset: usize, text: &[u8], flags: libc::c_int) -> io::Result<()> {
    let bytes = file.metadata()?.len() as usize;
    assert!(offset + text.len() <= bytes, "the step writes inside of the file");
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, of as many bytes as the file has.
    let map = unsafe {
        libc::mmap(std::ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0)
            .cast::<u8>()
    };
    assert_ne!(map.cast(), libc::MAP_FAILED);
    // SAFETY: the text ends within the mapping, which nobody else uses, and which is not used after `munmap`.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), map.add(offset), text.len());
        let page = offset / 4096 * 4096;
        let synced = checked(libc::msync(map.add(page).cast(), offset + text.len() - page, flags));
        libc::munmap(map.cast(), bytes);
        synced
    }
}

/// What a program must not do when a flush fails, and what it may do: to write again before it flushes again.
fn write_and_sync_twice(file: &File, text: &str, rewrite: bool) -> io::Result<()> {
    file.write_all_at(text.as_bytes(), 0)?;
    file.sync_all().expect_err("the plan fails this flush");
    if rewrite {
        file.write_all_at(text.as_bytes(), 0)?;
    }
    file.sync_all()
}

fn lock(file: &File) -> io::Result<()> {
    // SAFETY: all zeros is a valid `flock`: from the start, of any length.
    let mut range = unsafe { std::mem::zeroed::<libc::flock>() };
    range.l_type = libc::F_WRLCK as libc::c_short;
    // SAFETY: `range` outlives the call.
    checked(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLK, &range) })
}

/// Succeeds if the file stays locked over a flush, as seen by another process.
fn lock_and_sync(name: &str) -> io::Result<()> {
    let file = open(name)?;
    lock(&file)?;
    file.sync_all()?;
    let refused = run_in_child(&format!("lock {name}"))?.contains("step failed");
    if refused { Ok(()) } else { Err(io::Error::other("the flush released the lock")) }
}

fn append_and_sync_in_threads(threads: u64, rounds: u64) -> io::Result<()> {
    let work = move |thread: u64| {
        let mut file = File::create_new(format!("thread-{thread}")).expect("a new file");
        for _ in 0..rounds {
            file.write_all(b"x").expect("written");
            file.sync_all().expect("flushed");
        }
    };
    let start = |thread| thread::Builder::new().spawn(move || work(thread));
    let started = (0..threads).map(start).collect::<io::Result<Vec<_>>>()?;
    started.into_iter().for_each(|thread| thread.join().expect("no panic"));
    Ok(())
}

fn run_in_child(script: &str) -> io::Result<String> {
    let output = Command::new(env::current_exe()?).args(ARGUMENTS).env(SCRIPT, script).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
