/// The JSON header of a safetensors file: what it says, and the checks that it says something possible.
struct SafetensorsHeader {
    /// What the header states about one tensor; offsets count from the end of the header.
    struct Entry {
        let name: String
        let type: SafetensorsType
        let shape: [Int]
        let data: Range<Int>
    }

    /// The entries in the order of their data.
    let entries: [Entry]
    /// The texts under `__metadata__`.
    let metadata: [String: String]

    /// Parses `json` and checks every entry against `dataSize`, the number of bytes that follow the header.
    init(json: UnsafeRawBufferPointer, dataSize: Int) throws(SafetensorsProblem) {
        var parser = Parser(dataSize: dataSize)
        do {
            try parser.parse(json)
        } catch {
            throw parser.problem ?? .badHeader(offset: error.offset, error.problem)
        }
        metadata = parser.metadata
        entries = parser.entries.sorted {
            ($0.data.lowerBound, $0.data.upperBound) < ($1.data.lowerBound, $1.data.upperBound)
        }
        try Self.checkCoverage(entries, dataSize: dataSize)
    }

    /// Every byte of the data must belong to exactly one tensor.
    private static func checkCoverage(_ entries: [Entry], dataSize: Int) throws(SafetensorsProblem) {
        var covered = 0
        var last = ""
        for entry in entries {
            guard entry.data.lowerBound >= covered else { throw .overlap(first: last, second: entry.name) }
            guard entry.data.lowerBound == covered else { throw .hole(begin: covered, end: entry.data.lowerBound) }
            covered = entry.data.upperBound
            last = entry.name
        }
        guard covered == dataSize else { throw .hole(begin: covered, end: dataSize) }
    }
}

/// Walks the header. A problem of the format rather than of the JSON is kept in `problem` and stops the scan.
private struct Parser {
    let dataSize: Int
    var entries: [SafetensorsHeader.Entry] = []
    var metadata: [String: String] = [:]
    var problem: SafetensorsProblem?
    private var names: Set<String> = []

    init(dataSize: Int) { self.dataSize = dataSize }

    mutating func parse(_ json: UnsafeRawBufferPointer) throws(JSONScanner.Failure) {
        var scanner = JSONScanner(json)
        try scanner.object { (scanner, name) throws(JSONScanner.Failure) in
            if !names.insert(name).inserted { throw stop(.duplicateName(name)) }
            if name == "__metadata__" {
                try scanner.object { (scanner, key) throws(JSONScanner.Failure) in
                    metadata[key] = try scanner.string()
                }
            } else {
                try readEntry(name, &scanner)
            }
        }
        try scanner.end()
    }

    private mutating func stop(_ problem: SafetensorsProblem) -> JSONScanner.Failure {
        self.problem = problem
        return JSONScanner.Failure(offset: 0, problem: .expected("a valid entry"))
    }

    private mutating func readEntry(_ name: String, _ scanner: inout JSONScanner) throws(JSONScanner.Failure) {
        var types: [String] = []
        var shapes: [[Int]] = []
        var offsets: [[Int]] = []
        try scanner.object { (scanner, key) throws(JSONScanner.Failure) in
            switch key {
            case "dtype": types.append(try scanner.string())
            case "shape": shapes.append(try scanner.sizes())
            case "data_offsets": offsets.append(try scanner.sizes())
            default: try scanner.skipValue()
            }
        }
        guard types.count == 1 else { throw stop(.badEntry(tensor: name, key: "dtype")) }
        guard shapes.count == 1 else { throw stop(.badEntry(tensor: name, key: "shape")) }
        guard offsets.count == 1, offsets[0].count == 2 else {
            throw stop(.badEntry(tensor: name, key: "data_offsets with two numbers"))
        }
        guard let type = SafetensorsType(rawValue: types[0]) else {
            throw stop(.unknownType(tensor: name, type: types[0]))
        }
        if let problem = check(name, type, shapes[0], offsets[0][0], offsets[0][1]) { throw stop(problem) }
        entries.append(.init(name: name, type: type, shape: shapes[0], data: offsets[0][0]..<offsets[0][1]))
    }

    private func check(
        _ name: String, _ type: SafetensorsType, _ shape: [Int], _ begin: Int, _ end: Int
    ) -> SafetensorsProblem? {
        guard begin <= end else { return .reversedOffsets(tensor: name, begin: begin, end: end) }
        guard end <= dataSize else { return .dataBeyondFile(tensor: name, end: end, available: dataSize) }
        var expected = type.byteCount
        for dimension in shape {
            let (product, overflow) = expected.multipliedReportingOverflow(by: dimension)
            if overflow { return .shapeOverflow(tensor: name, shape: shape) }
            expected = product
        }
        return expected == end - begin ? nil : .sizeMismatch(tensor: name, expected: expected, found: end - begin)
    }
}
