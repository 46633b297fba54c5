/// Where each declared tensor will lie in a safetensors file, and the header that says so.
struct SafetensorsLayout {
    /// Tensors in the order of their data: wider types first, so that all are aligned, then by name. This is the order
    /// of the format's own library, hence the same tensors give the same bytes.
    let tensors: [TensorDeclaration]
    /// Bytes of each tensor, counted from the end of the header.
    let ranges: [String: Range<Int>]
    /// Length and JSON, padded with spaces to a multiple of 8.
    let header: [UInt8]
    /// Bytes of all tensors.
    let dataSize: Int

    init(_ declarations: [TensorDeclaration], metadata: [String: String]) throws(WritingProblem) {
        let rank = Dictionary(uniqueKeysWithValues: SafetensorsType.allCases.enumerated().map { ($1, $0) })
        tensors = declarations.sorted {
            $0.type == $1.type ? $0.name < $1.name : rank[$0.type, default: 0] > rank[$1.type, default: 0]
        }
        var ranges: [String: Range<Int>] = [:]
        var end = 0
        var json = metadata.isEmpty ? "{" : "{\"__metadata__\":\(Self.json(metadata))"
        for tensor in tensors {
            guard tensor.name != "__metadata__" else { throw .reservedName(tensor.name) }
            let (next, overflow) = end.addingReportingOverflow(try tensor.byteCount())
            // Half of what fits leaves room for the header.
            guard !overflow, next <= Int.max / 2 else {
                throw .shapeOverflow(tensor: tensor.name, shape: tensor.shape)
            }
            guard ranges.updateValue(end..<next, forKey: tensor.name) == nil else { throw .duplicateName(tensor.name) }
            if json.utf8.count > 1 { json += "," }
            let shape = tensor.shape.map(String.init).joined(separator: ",")
            json += "\(JSONText.quoted(tensor.name)):{\"dtype\":\"\(tensor.type.rawValue)\",\"shape\":[\(shape)],"
            json += "\"data_offsets\":[\(end),\(next)]}"
            end = next
        }
        json += "}"
        self.ranges = ranges
        dataSize = end
        header = Self.framed(json)
    }

    private static func json(_ metadata: [String: String]) -> String {
        let members = metadata.sorted { $0.key < $1.key }.map { "\(JSONText.quoted($0)):\(JSONText.quoted($1))" }
        return "{\(members.joined(separator: ","))}"
    }

    private static func framed(_ json: String) -> [UInt8] {
        let text = Array(json.utf8)
        let length = (text.count + 7) / 8 * 8
        let padding = [UInt8](repeating: UInt8(ascii: " "), count: length - text.count)
        return withUnsafeBytes(of: UInt64(length).littleEndian) { Array($0) } + text + padding
    }
}
