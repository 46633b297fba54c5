import Tokenization

/// Makes a JSON object of a record's bytes.
struct RecordParser: Sendable {
    let container: Container
    /// The names of a table's columns.
    let header: [String]
    let path: String

    func parse(_ bytes: UnsafeBufferPointer<UInt8>, line: Int) -> Result<ParsedRecord, DatasetProblem> {
        do throws(DatasetProblemKind) {
            switch container {
            case .json: return json(bytes, line: line)
            case .text: return .success(ParsedRecord(object: ["text": .string(try Self.text(bytes))], line: line))
            case .table(let separator): return .success(ParsedRecord(object: try row(bytes, separator), line: line))
            }
        } catch {
            return .failure(DatasetProblem(error, file: path, line: line))
        }
    }

    /// The names of the columns, none empty and none twice.
    static func header(
        _ row: UnsafeBufferPointer<UInt8>, separator: UInt8
    ) throws(DatasetProblemKind) -> [String] {
        let names = try RowScanner.cells(row, separator: separator)
        if names.contains("") { throw .badHeader(reason: "column \((names.firstIndex(of: "") ?? 0) + 1) has no name") }
        if let twice = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw .badHeader(reason: "two columns have the name \"\(twice)\"")
        }
        return names
    }

    private func row(
        _ bytes: UnsafeBufferPointer<UInt8>, _ separator: UInt8
    ) throws(DatasetProblemKind) -> JSONObject {
        let cells = try RowScanner.cells(bytes, separator: separator)
        guard cells.count == header.count else { throw .cellCount(found: cells.count, columns: header.count) }
        return JSONObject(zip(header, cells).map { (key: $0, value: .string($1)) })
    }

    private static func text(_ bytes: UnsafeBufferPointer<UInt8>) throws(DatasetProblemKind) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidUTF8 }
        return text
    }

    private func json(_ bytes: UnsafeBufferPointer<UInt8>, line: Int) -> Result<ParsedRecord, DatasetProblem> {
        do throws(JSONError) {
            let value = try JSONValue(parsing: bytes)
            guard let object = value.objectValue else {
                return .failure(DatasetProblem(.notAnObject(found: value.kindDescription), file: path, line: line))
            }
            return .success(ParsedRecord(object: object, line: line))
        } catch {
            let kind = DatasetProblemKind.malformedJSON(column: error.column, reason: error.message)
            return .failure(DatasetProblem(kind, file: path, line: line + error.line - 1))
        }
    }
}
