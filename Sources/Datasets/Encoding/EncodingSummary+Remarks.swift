extension EncodingSummary {
    /// What is no problem and yet may not be meant, in sentences that name the source.
    public var remarks: [String] {
        var remarks = RecordRemark.allCases.compactMap { remark in
            remarkCounts[remark].map { count in
                remark.sentence(count.counted("record")) + " (the first: \(firstRemarked[remark] ?? ""))"
            }
        }
        if let contextLength, beyondContext > 0 {
            let examples = beyondContext == 1 ? "1 example is" : "\(beyondContext) examples are"
            remarks.append("\(examples) longer than the \(contextLength) tokens that the model was made for")
        }
        if !isWhole, let (key, name) = fieldWithoutValues {
            remarks.append("no record that was looked at has the key \"\(name)\", which fields names for \"\(key)\"")
        }
        if let forgottenKeys { remarks.append(forgottenKeys) }
        return remarks.map { "\(source): \($0)" }
    }

    /// The keys of records that the format does not use, with how many records have them where these are not all; `nil`
    /// if there are none.
    public var unusedKeyList: String? { list(unusedKeys.keys.sorted()) }

    private var forgottenKeys: String? {
        list(unusedKeys.keys.filter(DatasetFormat.telling.contains).sorted()).map { keys in
            let known = (format.requiredKeys + format.optionalKeys).joined(separator: ", ")
            return "not used of these records: \(keys); the format \(format.rawValue) reads \(known)"
        }
    }

    private func list(_ keys: [String]) -> String? {
        if keys.isEmpty { return nil }
        let named = keys.map { key in
            let count = unusedKeys[key] ?? 0
            return "\"\(key)\"" + (count < encodedRecords ? " (\(count.counted("record")))" : "")
        }
        return named.joined(separator: ", ")
    }
}
