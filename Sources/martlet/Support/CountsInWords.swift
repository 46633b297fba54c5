extension Int {
    /// With commas between thousands: `10,560`.
    var grouped: String {
        let digits = Array(String(self))
        return String(digits.enumerated().flatMap { index, digit in
            index > 0 && (digits.count - index) % 3 == 0 ? [",", digit] : [digit]
        })
    }

    /// With a noun in the right number: `1 thread`, `2 threads`.
    func counted(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
