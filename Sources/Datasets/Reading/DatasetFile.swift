import Foundation

/// The bytes of a data file, mapped where the system allows, so that gigabytes cost no memory.
struct DatasetFile: Sendable {
    let path: String
    private let data: Data

    init(path: String) throws(DatasetProblem) {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw DatasetProblem(.missing, file: path)
        }
        if isFolder.boolValue { throw DatasetProblem(.unreadable(reason: "it is a folder"), file: path) }
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        } catch {
            throw DatasetProblem(.unreadable(reason: Self.reason(error)), file: path)
        }
        self.path = path
        if let other = withBytes({ Self.foreignFormat($0) }) {
            throw DatasetProblem(.notText(looksLike: other), file: path)
        }
    }

    func withBytes<Result>(_ body: (UnsafeBufferPointer<UInt8>) -> Result) -> Result {
        data.withUnsafeBytes { body($0.bindMemory(to: UInt8.self)) }
    }

    private static func reason(_ error: any Error) -> String {
        let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
        if let underlying, underlying.domain == NSPOSIXErrorDomain {
            return String(cString: strerror(Int32(underlying.code)))
        }
        return error.localizedDescription
    }

    /// What a file is by its first bytes, where that is certainly not our kind of text.
    private static func foreignFormat(_ bytes: UnsafeBufferPointer<UInt8>) -> String? {
        let signatures: [(bytes: [UInt8], name: String)] = [
            ([0x1F, 0x8B], "a gzip file"), ([0x28, 0xB5, 0x2F, 0xFD], "a zstd file"),
            ([0x50, 0x4B, 3, 4], "a zip file"),
            (Array("PAR1".utf8), "a Parquet file"), ([0xFF, 0xFE], "text in UTF-16"), ([0xFE, 0xFF], "text in UTF-16"),
        ]
        return signatures.first { bytes.starts(with: $0.bytes) }?.name
    }
}
