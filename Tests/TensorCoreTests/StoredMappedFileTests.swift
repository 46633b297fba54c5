import Foundation
import TensorCore
import Testing

private func withFile(_ bytes: [UInt8], _ body: (String) throws -> Void) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
    try Data(bytes).write(to: url)
    defer { try? FileManager.default.removeItem(at: url) }
    try body(url.path)
}

private func failure(_ path: String) -> FileError? {
    do throws(FileError) {
        _ = try MappedFile(path: path)
        return nil
    } catch {
        return error
    }
}

@Suite struct StoredMappedFileTests {
    @Test func mapsAFileAndItsSlices() throws {
        try withFile((0..<200).map { UInt8($0) }) { path in
            let slice = MappedBytes(try MappedFile(path: path))[100..<103]
            #expect(slice.withUnsafeBytes { Array($0) } == [100, 101, 102])
            #expect(slice.file?.path == path)
            #expect(slice.file?.size == 200)
            slice.release()
            #expect(slice.withUnsafeBytes { Array($0) } == [100, 101, 102])
        }
    }

    /// What was mapped stays as it was when another file takes its name.
    @Test func survivesReplacement() throws {
        try withFile([1, 2, 3]) { path in
            let bytes = MappedBytes(try MappedFile(path: path))
            try Data([9, 9, 9]).write(to: URL(fileURLWithPath: path), options: .atomic)
            #expect(bytes.withUnsafeBytes { Array($0) } == [1, 2, 3])
        }
    }

    @Test func mapsAnEmptyFile() throws {
        try withFile([]) { path in
            let file = try MappedFile(path: path)
            #expect(file.size == 0)
            file.release(0..<10)
            #expect(MappedBytes(file).count == 0)
        }
    }

    @Test func refusesWhatIsNotARegularFile() {
        #expect(failure("/nowhere/x")?.kind == .missing)
        #expect(failure("/nowhere/x")?.description == "cannot open /nowhere/x: No such file or directory")
        #expect(failure("/")?.description == "cannot map /: Is a directory")
        #expect(failure("/dev/null")?.code == EINVAL)
    }
}
