/** An event log in a PostgreSQL database, version 15 or newer. */
export interface PostgresLogSpec {
  driver: 'postgres'
  /** `postgres://user:password@host:port/database` */
  url: string
}
