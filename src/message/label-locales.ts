/** What Gmail itself means by a label, whatever the language of the account. */
export type SystemLabel =
  | 'inbox'
  | 'sent'
  | 'drafts'
  | 'spam'
  | 'trash'
  | 'starred'
  | 'important'
  | 'unread'
  | 'opened'
  | 'archived'
  | 'chat'
  | 'snoozed'
  | 'scheduled'
  | 'muted';

/**
 * Names Gmail gives its own labels in exports, by meaning: English first, then de, fr, es, it, pt, nl, pl, ru, ja, ca,
 * cs, sv, da, nb, fi, tr, uk, zh, ko, hu. A name belongs to one meaning only. Several where Gmail changed its words.
 */
const NAMES: Readonly<Record<SystemLabel, string>> = {
  inbox: `Inbox|Posteingang|Boîte de réception|Recibidos|Bandeja de entrada|Posta in arrivo|Caixa de entrada|Recebidos|
    Postvak IN|Odebrane|Skrzynka odbiorcza|Входящие|受信トレイ|Safata d'entrada|Rebuts|Doručená pošta|Doručené|Inkorg|Inkorgen|
    Indbakke|Innboks|Postilaatikko|Saapuneet|Gelen Kutusu|Вхідні|收件箱|收件匣|받은편지함|Beérkező levelek`,
  sent: `Sent|Sent Mail|Gesendet|Messages envoyés|Envoyés|Envoyé|Enviados|Enviado|Posta inviata|Inviati|Inviata|Inviato|
    Enviadas|E-mails enviados|Correio enviado|Verzonden|Verzonden berichten|Wysłane|Отправленные|送信済みメール|送信済み|
    Enviats|Correu enviat|Odeslaná pošta|Odeslané|Odesláno|Skickat|Skickade|Sendt|Lähetetyt|Gönderilmiş Postalar|
    Gönderilmiş|Надіслані|已发邮件|已发送邮件|已发送|寄件備份|보낸편지함|Elküldött üzenetek|Elküldött`,
  drafts: `Drafts|Draft|Entwürfe|Entwurf|Brouillons|Brouillon|Borradores|Borrador|Bozze|Bozza|Rascunhos|Rascunho|Concepten|
    Wersje robocze|Szkice|Черновики|下書き|Esborranys|Koncepty|Utkast|Kladder|Luonnokset|Taslaklar|Чернетки|草稿|
    임시보관함|Piszkozatok`,
  spam: `Spam|Junk|Correo no deseado|Спам|迷惑メール|Correu brossa|Skräppost|Søppelpost|Roskaposti|垃圾邮件|垃圾郵件|스팸함`,
  trash: `Trash|Bin|Papierkorb|Corbeille|Papelera|Cestino|Lixeira|Lixo|Reciclagem|Prullenbak|Kosz|Корзина|ゴミ箱|Paperera|
    Koš|Papperskorg|Papperskorgen|Papirkurv|Papirkurven|Roskakori|Çöp Kutusu|Çöp|Кошик|已删除邮件|垃圾箱|垃圾桶|휴지통|Kuka`,
  starred: `Starred|Markiert|Suivis|Messages suivis|Favoris|Destacados|Destacado|Speciali|Speciale|Com estrela|Met ster|
    Oznaczone gwiazdką|Z gwiazdką|Помеченные|スター付き|Destacats|S hvězdičkou|Stjärnmärkt|Stjärnmärkta|Stjernemarkeret|
    Stjernemarkerede|Stjernemerket|Tähdelliset|Yıldızlı|Із зірочкою|已加星标|已加星號|별표편지함|Csillagozott`,
  important: `Important|Wichtig|Importants|Importante|Importantes|Importanti|Belangrijk|Ważne|Важное|重要|Důležité|Viktigt|
    Vigtigt|Viktig|Tärkeä|Tärkeät|Önemli|Важливо|Важливі|重要邮件|重要郵件|중요|중요편지함|Fontos`,
  unread: `Unread|Ungelesen|Non lus|Non lu|No leídos|No leído|Sin leer|Non letti|Non letto|Da leggere|Não lidas|Não lidos|
    Não lido|Ongelezen|Nieprzeczytane|Непрочитанные|未読|No llegits|Sense llegir|Nepřečtené|Oläst|Olästa|Ulæst|Ulæste|
    Ulest|Uleste|Lukemattomat|Lukematon|Okunmamış|Непрочитані|未读|未讀|읽지않음|읽지 않음|Olvasatlan`,
  opened: `Opened|Geöffnet|Ouvert|Ouverts|Abiertos|Abierto|Aperti|Aperto|Aperta|Abertas|Abertos|Aberto|Aberta|Geopend|
    Otwarte|Открытые|Открытое|開封済み|Oberts|Obert|Otevřené|Otevřeno|Öppnad|Öppnade|Åbnet|Åbnede|Åpnet|Avattu|Avatut|
    Açıldı|Açılmış|Відкриті|已打开|已開啟|읽음|열림|Megnyitott`,
  archived: `Archived|Archiviert|Archivés|Archivé|Messages archivés|Archivados|Archivado|Archiviati|Archiviato|Arquivadas|
    Arquivados|Arquivado|Gearchiveerd|Zarchiwizowane|Архивированные|В архиве|アーカイブ済み|Arxivats|Arxivat|Archivováno|
    Archivované|Arkiverad|Arkiverade|Arkiveret|Arkiverede|Arkivert|Arkistoitu|Arkistoidut|Arşivlendi|Arşivlenmiş|
    Архівовані|已归档|已封存|보관됨|보관처리됨|Archivált`,
  chat: `Chat|Chats|Чат|Чаты|Czat|チャット|채팅`,
  snoozed: 'Snoozed',
  scheduled: 'Scheduled',
  muted: 'Muted',
};

/** The word for "category", which begins the label of each of Gmail's tabs. */
const CATEGORY_WORDS =
  'Category|Kategorie|Catégorie|Categoría|Categoria|Categorie|Kategoria|Категория|カテゴリ|Kategori|Luokka|Категорія|类别|類別|카테고리|Kategória';
/** The names of the tabs in English, where no colon stands between. */
const ENGLISH_TABS = 'Personal|Social|Promotions|Updates|Forums|Purchases|Reservations|Travel';

const MEANINGS: ReadonlyMap<string, SystemLabel> = new Map(
  Object.entries(NAMES).flatMap(([meaning, names]) =>
    names.split('|').map(name => [keyOf(name), meaning as SystemLabel] as const),
  ),
);

/** `Category Updates`, `Kategorie: "Neuigkeiten"`, `Catégorie : E-mails personnels` */
const CATEGORY = new RegExp(`^(?:category (?:${ENGLISH_TABS})|(?:${CATEGORY_WORDS}) ?(?:[:：]|["“„«]).*)$`, 'iu');

/** What Gmail means by this label; null: the user made it. */
export function systemLabel(label: string): SystemLabel | 'category' | null {
  const key = keyOf(label);
  return MEANINGS.get(key) ?? (CATEGORY.test(key) ? 'category' : null);
}

function keyOf(label: string): string {
  return label.normalize('NFC').replace(/\s+/g, ' ').trim().toLowerCase();
}
