/// The records of one source that can be had in any order, each as the examples that it became.
public protocol RecordStore: Sendable {
    /// The source, as the user named it.
    var source: String { get }
    /// How many records it has, those included that became no example.
    var recordCount: Int { get }
    /// The examples of a record: none if it is left out, several if it was split.
    func examples(of record: Int) throws -> [EncodedExample]
    /// The lengths of these examples.
    func lengths(of record: Int) throws -> [Int32]
}

extension RecordStore {
    /// Where nothing quicker is known, by reading the examples.
    public func lengths(of record: Int) throws -> [Int32] { try examples(of: record).map { Int32($0.ids.count) } }
}
