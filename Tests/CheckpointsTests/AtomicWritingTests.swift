import Checkpoints
import Foundation
import TensorCore
import Testing

private struct Stop: Error {}

private func text(_ url: URL) throws -> String { try String(contentsOf: url, encoding: .utf8) }

@Suite struct AtomicWritingTests {
    @Test func replacesAFile() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("new/sub/file.txt")
            try AtomicFile.write(Data("one".utf8), to: url)
            try AtomicFile.write(Data("two".utf8), to: url)
            #expect(try text(url) == "two")
            #expect(try listing(url.deletingLastPathComponent()) == ["file.txt"])
        }
    }

    @Test func keepsTheOldFileWhenWritingFails() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("file.txt")
            try AtomicFile.write(Data("one".utf8), to: url)
            #expect(throws: Stop.self) {
                try AtomicFile.write(to: url) { temporary in
                    #expect(temporary.lastPathComponent == ".file.txt.tmp-\(getpid())")
                    try Data("half".utf8).write(to: temporary)
                    throw Stop()
                }
            }
            #expect(try text(url) == "one")
            #expect(try listing(folder) == ["file.txt"])
        }
    }

    @Test func aFolderAppearsWhole() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("runs/step", isDirectory: true)
            try AtomicDirectory.write(to: url, replacing: false) { temporary in
                #expect(temporary.lastPathComponent == ".step.tmp-\(getpid())")
                #expect(!FileManager.default.fileExists(atPath: url.path))
                try AtomicFile.write(Data("x".utf8), to: temporary.appendingPathComponent("deep/a"))
            }
            #expect(try text(url.appendingPathComponent("deep/a")) == "x")
            #expect(try listing(url.deletingLastPathComponent()) == ["step"])
        }
    }

    @Test func refusesToReplaceUnlessAsked() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("d")
            func write(_ name: String, replacing: Bool) throws {
                try AtomicDirectory.write(to: url, replacing: replacing) {
                    try Data().write(to: $0.appendingPathComponent(name))
                }
            }
            try write("a", replacing: false)
            let error = checkpointError { try write("b", replacing: false) }
            #expect(error?.fileError?.kind == .exists)
            #expect(error?.path == url.path)
            #expect(try listing(url) == ["a"])
            try write("b", replacing: true)
            #expect(try listing(url) == ["b"])
            #expect(throws: Stop.self) { try AtomicDirectory.write(to: url, replacing: true) { _ in throw Stop() } }
            #expect(try listing(url) == ["b"])
            #expect(try listing(folder) == ["d"])
        }
    }

    @Test func replacesALink() throws {
        try withFolder { folder in
            let link = folder.appendingPathComponent("latest")
            for name in ["step-1", "step-2"] {
                try AtomicDirectory.write(to: folder.appendingPathComponent(name), replacing: false) {
                    try Data(name.utf8).write(to: $0.appendingPathComponent("name"))
                }
                try AtomicFile.replaceLink(at: link, to: name)
                #expect(try FileManager.default.destinationOfSymbolicLink(atPath: link.path) == name)
                #expect(try text(link.appendingPathComponent("name")) == name)
            }
            #expect(try listing(folder) == ["latest", "step-1", "step-2"])
            let occupied = checkpointError {
                try AtomicFile.replaceLink(at: folder.appendingPathComponent("step-1"), to: "step-2")
            }
            #expect(occupied?.path == folder.appendingPathComponent("step-1").path)
        }
    }

    @Test func cleansUpAfterDeadProcesses() throws {
        try withFolder { folder in
            let url = folder.appendingPathComponent("d")
            // No process has the number 99999999: it is above the system's limit.
            let names = [".d.tmp-99999999", ".d.tmp-99999999-2", ".d.tmp-\(getpid())", ".dd.tmp-99999999", ".d.tmp-x"]
            for name in names {
                try FileManager.default.createDirectory(
                    at: folder.appendingPathComponent(name), withIntermediateDirectories: false)
            }
            let removed = AtomicDirectory.recover(beside: url)
            #expect(removed.map(\.lastPathComponent) == Array(names[..<2]))
            #expect(try listing(folder) == names[2...].sorted())
        }
    }

    @Test func putsBackAFolderThatWasBeingReplaced() throws {
        try withFolder { folder in
            let old = folder.appendingPathComponent(".d.old-99999999")
            try FileManager.default.createDirectory(at: old, withIntermediateDirectories: false)
            try Data().write(to: old.appendingPathComponent("a"))
            AtomicDirectory.recover(beside: folder.appendingPathComponent("d"))
            #expect(try listing(folder) == ["d"])
            #expect(try listing(folder.appendingPathComponent("d")) == ["a"])
        }
    }

    @Test func namesTheTargetAndTheReason() throws {
        // A file where a folder is needed fails for every user, also for root.
        try withFolder { folder in
            let file = folder.appendingPathComponent("file")
            try AtomicFile.write(Data(), to: file)
            let below = file.appendingPathComponent("x/y")
            let error = checkpointError { try AtomicFile.write(Data(), to: below) }
            #expect(error?.fileError?.code == ENOTDIR)
            #expect(error?.description.contains("Not a directory") == true)
        }
        let full = checkpointError {
            try AtomicFile.write(to: fixtures) { _ in throw FileError(action: "a", path: "b", code: ENOSPC) }
        }
        #expect(full?.fileError?.kind == .full)
    }

    @Test func tellsTheKindsOfTroubleApart() {
        func kind(_ code: Int32) -> FileError.Kind { FileError(action: "open", path: "p", code: code).kind }
        #expect(
            [ENOENT, EACCES, EROFS, ENOSPC, EEXIST, EIO].map(kind) == [
                .missing, .denied, .readOnly, .full, .exists, .other,
            ])
        #expect(
            FileError(action: "write to", path: "/x", code: ENOSPC).description
                == "cannot write to /x: No space left on device; free some space or choose another folder")
    }

    /// /dev/full accepts every open and refuses every write.
    @Test(.enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
    func reportsAFullDisk() throws {
        let tensor = TensorDeclaration(name: "t", shape: [1], type: .float32)
        let error = checkpointError {
            _ = try SafetensorsWriter(creating: URL(fileURLWithPath: "/dev/full"), tensors: [tensor])
        }
        #expect(error?.fileError?.kind == .full)
        #expect(error?.path == "/dev/full")
    }
}
