extension Double {
    /// The number as the tokenizers library reads it from its shortest decimal form: the digits as a whole number,
    /// rounded, then divided by a power of ten, rounded again. Near ties between ways to cut a text depend on it.
    var asLibraryReadsIt: Double {
        guard isFinite, !isZero else { return self }
        let parts = magnitude.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        var fraction = mantissa.count > 1 ? mantissa[1] : ""
        if fraction == "0" { fraction = "" }
        guard let digits = UInt64(String(mantissa[0]) + fraction), let power = parts.count > 1 ? Int(parts[1]) : 0,
            case let exponent = power - fraction.count, abs(exponent) <= 300
        else { return self }
        guard let scale = Double("1e\(abs(exponent))") else { return self }
        let value = exponent < 0 ? Double(digits) / scale : Double(digits) * scale
        return sign == .minus ? -value : value
    }
}
