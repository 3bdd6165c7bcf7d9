import Foundation
import GRDB

/// What a measurement depends on.
public struct MeasurementKey: Hashable, Sendable {
    /// The program's ``SourceProgram/fingerprint``.
    public var program: String
    public var target: String
    /// Version and flags: other flags are another program.
    public var compiler: String
    /// The device that the program ran on.
    public var machine: String
    public var threads: Int

    public init(program: String, target: String, compiler: String, machine: String, threads: Int = 1) {
        self.program = program
        self.target = target
        self.compiler = compiler
        self.machine = machine
        self.threads = threads
    }
}

/// Every measurement that was ever taken, in an SQLite file, so that nothing is timed twice.
///
/// Several processes may use the file at once.
public struct MeasurementDatabase: Sendable {
    /// The version of the tables that this code reads and writes.
    public static let schema = 2

    public let path: String
    private let queue: DatabaseQueue

    /// Opens the file, or makes it.
    ///
    /// - Throws: ``HardwareError`` when it is damaged, locked, of a newer version or cannot be opened.
    public init(path: String, patience: Duration = .seconds(10)) throws(HardwareError) {
        self.path = path
        var configuration = Configuration()
        configuration.busyMode = .timeout(
            Double(patience.components.seconds) + Double(patience.components.attoseconds) * 1e-18)
        do {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            queue = try DatabaseQueue(path: path, configuration: configuration)
            try queue.writeWithoutTransaction { database in
                try database.inTransaction(.immediate) {
                    try MeasurementDatabase.prepare(database, path)
                    return .commit
                }
            }
        } catch {
            throw MeasurementDatabase.fault(error, path)
        }
    }

    private static func prepare(_ database: Database, _ path: String) throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard version <= schema else {
            throw HardwareError(
                .database,
                "\(path): expected measurements of version \(schema), found \(version); "
                    + "use a newer martlet or another file"
            )
        }
        guard version < schema else { return }
        try database.execute(
            sql: """
                CREATE TABLE schedule (
                    id INTEGER PRIMARY KEY,
                    graph TEXT NOT NULL,
                    target TEXT NOT NULL,
                    compiler TEXT NOT NULL,
                    machine TEXT NOT NULL,
                    threads INTEGER NOT NULL,
                    record TEXT NOT NULL,
                    measured_at TEXT NOT NULL DEFAULT (datetime('now'))
                );
                CREATE INDEX schedule_key ON schedule (graph, target, compiler, machine, threads);
                PRAGMA user_version = \(schema);
                """)
        // Version 1 had no schedules, and measurements as they still are.
        guard version == 0 else { return }
        try database.execute(
            sql: """
                CREATE TABLE measurement (
                    id INTEGER PRIMARY KEY,
                    program TEXT NOT NULL,
                    target TEXT NOT NULL,
                    compiler TEXT NOT NULL,
                    machine TEXT NOT NULL,
                    threads INTEGER NOT NULL,
                    minimum_ms REAL NOT NULL,
                    median_ms REAL NOT NULL,
                    p95_ms REAL NOT NULL,
                    spread REAL NOT NULL,
                    rounds_ms TEXT NOT NULL,
                    runs INTEGER NOT NULL,
                    stable INTEGER NOT NULL,
                    measured_at TEXT NOT NULL DEFAULT (datetime('now'))
                );
                CREATE INDEX measurement_key ON measurement (program, target, compiler, machine, threads);
                """)
    }

    /// The newest measurement under the key, if there is one.
    ///
    /// - Throws: ``HardwareError`` when the file is damaged or locked.
    public func measurement(for key: MeasurementKey) throws(HardwareError) -> LatencyMeasurement? {
        try attempt { queue throws in
            try queue.read { database in
                let row = try Row.fetchOne(
                    database,
                    sql: """
                        SELECT * FROM measurement
                        WHERE program = ? AND target = ? AND compiler = ? AND machine = ? AND threads = ?
                        ORDER BY id DESC LIMIT 1
                        """,
                    arguments: [key.program, key.target, key.compiler, key.machine, key.threads])
                guard let row else { return nil }
                let rounds: String = row["rounds_ms"]
                return LatencyMeasurement(
                    minimum: row["minimum_ms"], median: row["median_ms"], p95: row["p95_ms"], spread: row["spread"],
                    rounds: rounds.split(separator: " ").compactMap { Double($0) }, runs: row["runs"],
                    isStable: row["stable"])
            }
        }
    }

    /// Adds a measurement; earlier ones under the same key stay.
    ///
    /// - Throws: ``HardwareError`` when the file is damaged, locked or the disk is full.
    public func record(_ measurement: LatencyMeasurement, for key: MeasurementKey) throws(HardwareError) {
        try attempt { queue throws in
            try queue.write { database in
                try database.execute(
                    sql: """
                        INSERT INTO measurement
                            (program, target, compiler, machine, threads, minimum_ms, median_ms, p95_ms, spread,
                             rounds_ms, runs, stable)
                        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [
                        key.program, key.target, key.compiler, key.machine, key.threads, measurement.minimum,
                        measurement.median, measurement.p95, measurement.spread,
                        measurement.rounds.map { "\($0)" }.joined(separator: " "), measurement.runs,
                        measurement.isStable,
                    ])
            }
        }
    }

    /// The newest schedule that was tuned under the key (whose program is the graph's fingerprint), if there is one.
    ///
    /// - Throws: ``HardwareError`` when the file is damaged or locked.
    public func schedule(for key: MeasurementKey) throws(HardwareError) -> TunedSchedule? {
        try attempt { queue throws in
            try queue.read { database in
                let text = try String.fetchOne(
                    database,
                    sql: """
                        SELECT record FROM schedule
                        WHERE graph = ? AND target = ? AND compiler = ? AND machine = ? AND threads = ?
                        ORDER BY id DESC LIMIT 1
                        """,
                    arguments: [key.program, key.target, key.compiler, key.machine, key.threads])
                return try text.map { try JSONDecoder().decode(TunedSchedule.self, from: Data($0.utf8)) }
            }
        }
    }

    /// Adds a tuned schedule; earlier ones under the same key stay.
    ///
    /// - Throws: ``HardwareError`` when the file is damaged, locked or the disk is full.
    public func record(_ schedule: TunedSchedule, for key: MeasurementKey) throws(HardwareError) {
        try attempt { queue throws in
            let text = String(decoding: try JSONEncoder().encode(schedule), as: UTF8.self)
            try queue.write { database in
                try database.execute(
                    sql: """
                        INSERT INTO schedule (graph, target, compiler, machine, threads, record)
                        VALUES (?, ?, ?, ?, ?, ?)
                        """,
                    arguments: [key.program, key.target, key.compiler, key.machine, key.threads, text])
            }
        }
    }

    /// How many measurements there are.
    ///
    /// - Throws: ``HardwareError`` when the file is damaged or locked.
    public func count() throws(HardwareError) -> Int {
        try attempt { queue throws in
            try queue.read { try Int.fetchOne($0, sql: "SELECT COUNT(*) FROM measurement") ?? 0 }
        }
    }

    private func attempt<Result>(_ work: (DatabaseQueue) throws -> Result) throws(HardwareError) -> Result {
        do {
            return try work(queue)
        } catch {
            throw MeasurementDatabase.fault(error, path)
        }
    }

    private static func fault(_ error: any Error, _ path: String) -> HardwareError {
        if let error = error as? HardwareError { return error }
        guard let error = error as? DatabaseError else {
            return HardwareError(.database, "\(path): the measurements cannot be opened: \(error.localizedDescription)")
        }
        let message =
            switch error.resultCode {
            case .SQLITE_NOTADB, .SQLITE_CORRUPT:
                "the measurements are damaged (\(error.message ?? "not a database")); move the file away to start anew"
            case .SQLITE_BUSY, .SQLITE_LOCKED:
                "the measurements are locked by another process; try again when it has ended"
            case .SQLITE_CANTOPEN: "the measurements cannot be opened; is the path a file that can be written?"
            case .SQLITE_READONLY: "the measurements cannot be written; are the file and its folder writable?"
            case .SQLITE_FULL: "the disk is full"
            default: "the measurements cannot be used: \(error.message ?? error.resultCode.description)"
            }
        return HardwareError(.database, "\(path): \(message)")
    }
}
