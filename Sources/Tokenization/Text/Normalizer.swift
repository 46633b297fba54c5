/// The normalisers of tokenizer.json that rewrite text by a Unicode normal form.
enum Normalizer: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"

    /// Reads the `normalizer` of tokenizer.json into the steps that are applied one after the other.
    static func steps(_ value: JSONValue?, place: String) throws(TokenizationError) -> [Normalizer] {
        guard let value, value != .null else { return [] }
        let fields = try JSONFields(value, place)
        let type = try fields.string("type")
        if type == "Sequence" {
            var steps: [Normalizer] = []
            for (at, step) in try fields.array("normalizers").enumerated() {
                steps += try Self.steps(step, place: "\(place).normalizers[\(at)]")
            }
            return steps
        }
        guard let normalizer = Normalizer(rawValue: type) else {
            throw .unsupported(
                place: place, found: "the normaliser \(type)", supported: "none, NFC, NFD, NFKC, NFKD, Sequence")
        }
        return [normalizer]
    }

    private var composes: Bool { self == .composed || self == .compatibilityComposed }
    private var byCompatibility: Bool { self == .compatibilityComposed || self == .compatibilityDecomposed }

    /// The normal form of a text.
    func apply(_ text: String) -> String {
        let scalars = normalize(text.unicodeScalars.map(\.value), NormalizationData.shared)
        return String(String.UnicodeScalarView(scalars.compactMap { Unicode.Scalar($0) }))
    }

    /// The normalised text with its origin; `nil` if it is the text itself.
    ///
    /// Works segment by segment: a segment starts with a character that no normal form joins to the one before. One
    /// that changes stands for all of its original bytes.
    static func apply(_ steps: [Normalizer], to bytes: UnsafeBufferPointer<UInt8>, offset: Int) -> MappedText? {
        let limit: UInt8 = steps == [.composed] ? 0xCC : 0x80  // NFC changes nothing below U+0300, no form ASCII.
        if bytes.allSatisfy({ $0 < limit }) { return nil }
        let (data, text) = (NormalizationData.shared, PieceText(bytes))
        if steps.allSatisfy({ $0.leavesAlone(text, data) }) { return nil }
        var mapped = MappedText()
        var (start, at) = (0, 0)
        var segment: [UInt32] = []
        while start < bytes.count {
            repeat {
                let (value, end) = text.scalar(at)
                segment.append(value)
                at = end
            } while at < bytes.count && data[text.scalar(at).value].contains(.continues)
            let changed = steps.reduce(segment) { $1.normalize($0, data) }
            let isSame = changed == segment
            for (number, byte) in (isSame ? Array(bytes[start..<at]) : utf8(changed)).enumerated() {
                let position = offset + start + number
                mapped.append(byte, from: isSame ? position..<position + 1 : offset + start..<offset + at)
            }
            segment.removeAll(keepingCapacity: true)
            start = at
        }
        return mapped
    }

    private static func utf8(_ values: [UInt32]) -> [UInt8] {
        Array(String(String.UnicodeScalarView(values.compactMap { Unicode.Scalar($0) })).utf8)
    }

    /// Whether no character can change, by a look at each.
    private func leavesAlone(_ text: PieceText, _ data: NormalizationData) -> Bool {
        var restless: NormalizationData.Flags = [.continues, composes ? .isNotComposed : .decomposes]
        if byCompatibility { restless.insert(.decomposesByCompatibility) }
        var at = 0
        while at < text.bytes.count {
            let (value, end) = text.scalar(at)
            if !data[value].isDisjoint(with: restless) || (!composes && 0xAC00...0xD7A3 ~= value) { return false }
            at = end
        }
        return true
    }

    private func normalize(_ values: [UInt32], _ data: NormalizationData) -> [UInt32] {
        var parts: [UInt32] = []
        for value in values { data.appendDecomposition(of: value, byCompatibility: byCompatibility, to: &parts) }
        Self.order(&parts, data)
        return composes ? Self.compose(parts, data) : parts
    }

    /// Sorts every run of combining marks by class; marks of one class keep their order.
    private static func order(_ parts: inout [UInt32], _ data: NormalizationData) {
        var start = 0
        while start < parts.count {
            var end = start
            while end < parts.count, data.combiningClass(parts[end]) != 0 { end += 1 }
            if end - start > 1 {
                let run = parts[start..<end].map { (value: $0, order: data.combiningClass($0)) }
                // Swift's sort is stable.
                parts.replaceSubrange(start..<end, with: run.sorted { $0.order < $1.order }.map(\.value))
            }
            start = end + 1
        }
    }

    /// Joins each character to the last starter before it, unless something between them blocks it.
    private static func compose(_ parts: [UInt32], _ data: NormalizationData) -> [UInt32] {
        var output: [UInt32] = []
        var starter: Int?
        var lastClass: UInt8 = 0
        for value in parts {
            let combiningClass = data.combiningClass(value)
            if let at = starter, at == output.count - 1 || (lastClass != 0 && lastClass < combiningClass),
                let joined = data.composite(output[at], value)
            {
                output[at] = joined
                continue
            }
            if combiningClass == 0 { starter = output.count }
            lastClass = combiningClass
            output.append(value)
        }
        return output
    }
}
