/** Keys in one SQLite file, for processes of one machine. */
export interface SqliteCoordinatorSpec {
  driver: 'sqlite'
  /** A directory, where the file is `coordination.db`, or a file whose name ends in `.db`. Made if it is not there. */
  path: string
}
