import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemLabel } from '../../src/message/label-locales.js';
import { gmailLabels, type LabelPolicy, placeLabels } from '../../src/message/labels.js';

describe('the field of an export', () => {
  it.each([
    ['Inbox,Important,Opened', ['Inbox', 'Important', 'Opened']],
    ['Work/Clients, Taxes 2019 ,,Work/Clients', ['Work/Clients', 'Taxes 2019']],
    ['"Bills, paid",Sent', ['Bills, paid', 'Sent']],
    ['"say \\"hi\\"",x', ['say "hi"', 'x']],
    ['6" nails,"open', ['6" nails', '"open']],
    [
      '=?UTF-8?Q?Messages_archiv=C3=A9s,Ouvert,Cat=C3=A9gorie=C2=A0:_E-mails_?= =?UTF-8?Q?personnels,"Culture,_=C3=A9v=C3=A9nements"?=',
      ['Archived', 'Opened', 'Catégorie\u00a0: E-mails personnels', 'Culture, événements'],
    ],
    ['=?UTF-8?B?0JLRhdC+0LTRj9GJ0LjQ?= =?UTF-8?B?tSzQoNCw0LHQvtGC0LA=?=', ['Inbox', 'Работа']],
    ['=?ISO-8859-1?Q?B=FCro?=,=?utf-8?q?B=C3=BCro2?=', ['Büro', 'Büro2']],
    ['Bücher', ['Bücher']],
    ['=?nonsense?Q?caf=E9?=,=?UTF-8?Q?broken=E9?=,=?UTF-8?X?x?=', ['café', 'brokené', '=?UTF-8?X?x?=']],
    ['', []],
  ])('%s', (value, labels) => {
    expect(gmailLabels([Buffer.from(value, 'utf8').toString('latin1')])).toEqual(labels);
  });

  it('anything is decoded, and quickly', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), text => void gmailLabels([text])));
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('=?', 'UTF-8', '?Q?', '?B?', '?=', '"', ',', ' ', '=41', '_', '\\')),
        parts => void gmailLabels([parts.join('')]),
      ),
    );
    gmailLabels(['"=?a?q?'.repeat(20_000)]);
  });

  it.each([
    ['en', 'Inbox Sent Drafts Spam Trash Starred Important Unread Opened Archived'],
    ['de', 'Posteingang Gesendet Entwürfe Spam Papierkorb Markiert Wichtig Ungelesen Geöffnet Archiviert'],
    ['nl', 'Postvak_IN Verzonden Concepten Spam Prullenbak Met_ster Belangrijk Ongelezen Geopend Gearchiveerd'],
    ['fr', 'Boîte_de_réception Messages_envoyés Brouillons Spam Corbeille Suivis Important Non_lus Ouvert Archivés'],
    ['es', 'Recibidos Enviados Borradores Spam Papelera Destacados Importante No_leídos Abiertos Archivados'],
    ['it', 'Posta_in_arrivo Posta_inviata Bozze Spam Cestino Speciali Importante Da_leggere Aperti Archiviati'],
    ['pt', 'Caixa_de_entrada Enviados Rascunhos Spam Lixeira Com_estrela Importante Não_lidas Abertas Arquivadas'],
    ['pl', 'Odebrane Wysłane Wersje_robocze Spam Kosz Oznaczone_gwiazdką Ważne Nieprzeczytane Otwarte Zarchiwizowane'],
    ['ru', 'Входящие Отправленные Черновики Спам Корзина Помеченные Важное Непрочитанные Открытые Архивированные'],
    ['ja', '受信トレイ 送信済みメール 下書き 迷惑メール ゴミ箱 スター付き 重要 未読 開封済み アーカイブ済み'],
    ['ca', "Safata_d'entrada Enviats Esborranys Correu_brossa Paperera Destacats Important No_llegits Oberts Arxivats"],
  ])('Gmail in %s means the same by its own labels', (_, names) => {
    const labels = names.split(' ').map(name => name.replaceAll('_', ' '));
    expect(labels.map(systemLabel)).toEqual(
      'inbox sent drafts spam trash starred important unread opened archived'.split(' '),
    );
  });

  // As people quote them from exports of theirs, in bug reports of programs that do not know them.
  it.each([
    ['Archivés,Envoyé', 'archived sent'],
    ['Messages envoyés,Ouvert', 'sent opened'],
    ['Boîte de réception,Non lus', 'inbox unread'],
    ['Posteingang,Wichtig,Ungelesen,Kategorie: "Neuigkeiten"', 'inbox important unread category'],
    ['Gearchiveerd,Ongelezen', 'archived unread'],
    ['Recibidos,Importante,No leídos', 'inbox important unread'],
    ['Doručené,Důležité,Nepřečtené,Kategorie: Sociální sítě', 'inbox important unread category'],
    ['Odesláno,Archivováno', 'sent archived'],
    ['받은편지함,중요편지함', 'inbox important'],
    ['Inbox,Muted,Opened,Category Personal', 'inbox muted opened category'],
  ])('%s', (labels, meanings) => {
    expect(labels.split(',').map(systemLabel)).toEqual(meanings.split(' '));
  });

  it.each([
    'Category Updates',
    'Category promotions',
    'Kategorie: "Neuigkeiten"',
    'Catégorie\u00a0: E-mails personnels',
    'Kategorie: Sociální sítě',
  ])('a tab of the inbox is a category: %s', label => expect(systemLabel(label)).toBe('category'));

  it.each(['Category theory', 'Categories', 'Archive', 'Work', 'constructor', '__proto__', 'Inbox/2019'])(
    'a label of the user: %s',
    label => expect(systemLabel(label)).toBeNull(),
  );
});

describe('where labels lead', () => {
  const place = (labels: string, policy: LabelPolicy = 'primary') => {
    const { folders, flags, keywords } = placeLabels(labels === '' ? [] : labels.split(','), policy);
    return {
      folders: folders.map(
        folder => folder.parts.join('/') + (folder.special === undefined ? '' : ` (${folder.special})`),
      ),
      flags: [...flags].join(' '),
      keywords: [...keywords].join(' '),
    };
  };

  it.each([
    ['Inbox,Opened', 'INBOX', '\\Seen'],
    ['Inbox,Unread,Work,Work/Clients', 'Work/Clients', ''],
    ['Inbox,B,A', 'B', '\\Seen'],
    ['Sent,Work,Inbox', 'Sent (sent)', '\\Seen'],
    ['Drafts,Sent', 'Drafts (drafts)', '\\Seen \\Draft'],
    ['Spam,Drafts,Unread', 'Spam (junk)', '\\Draft'],
    ['Work,Spam,Trash,Starred', 'Trash (trash)', '\\Seen \\Flagged'],
    ['Archived,Category Updates,Opened', '', '\\Seen'],
    ['Chat', 'Chat', '\\Seen'],
    ['Posteingang,Ungelesen', 'INBOX', ''],
    ['Work/,/', 'Work', '\\Seen'],
  ])('primary: %s', (labels, folder, flags) => {
    expect(place(labels)).toMatchObject({ folders: folder === '' ? [] : [folder], flags });
  });

  it('all: one folder for each', () => {
    expect(place('Inbox,Sent,Work,Work/Clients,Archived,Category Social', 'all').folders).toEqual([
      'Sent (sent)',
      'Work',
      'Work/Clients',
      'INBOX',
    ]);
  });

  it('keywords: the user’s labels become keywords IMAP can store, two labels never one', () => {
    expect(place('Inbox,Work/Clients,To do (now),Büro,Buro,日本', 'keywords')).toEqual({
      folders: ['INBOX'],
      flags: '\\Seen',
      keywords: 'Work/Clients To_do__now_ B&APw-ro Buro &ZeVnLA-',
    });
  });

  it('ignore: no folders, but read, starred and draft stay', () => {
    expect(place('Inbox,Work,Unread,Starred', 'ignore')).toMatchObject({ folders: [], flags: '\\Flagged' });
  });

  it('important, and flags IMAP programs set, are keywords', () => {
    expect(place('Important,IMAP_$Forwarded').keywords).toBe('$Forwarded $Important');
  });
});
