export class RepositorySource { constructor(..._a: any[]) {} async refresh(): Promise<any> {} async fetch(): Promise<any> {} }
