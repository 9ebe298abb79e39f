"""What the name of a column says about its values, in the usual styles of spelling and some fifteen languages."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from mirror_profiles.meanings import Meaning

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- Words ----------------------------------------------------------------------------------------------------------

_SYNONYMS = """
first_name: firstname forename fname vorname vornamen prenom prenoms imie voornaam givenname prename rufname
 fornamn fornavn jmeno krestni etunimi keresztnev utonev prenume adi forenames firstnm frstname gvnname
last_name: lastname surname lname familyname nachname nachnamen familienname zuname nazwisko achternaam cognome
 apellido apellidos sobrenome apelido surnames
 efternamn efternavn etternavn prijmeni sukunimi vezeteknev csaladnev soyad soyadi soyisim familienaam lastnm
 famname primerapellido
middle_name: middlename mname patronymic
 tussennaam mellannamn
full_name: fullname
 volledigenaam adsoyad nimisoy
name: names namen naam nombre nombres nom noms nome nomes nazwa nm
 namn navn nazev nev nume isim nimi
mail: email emails emailaddress mailaddress correo courriel mel emailid
 epost epostadress epostadresse eposta sahkoposti emailova mailadresse emailcim eletronicamail
phone: telephone telefon telefone telefono telephon tel mobile telefoon cell cellphone mobil movil celular cellulare
 fax telefax phonenumber phoneno telno telnr mobilephone komorka rufnummer telefonnummer handynummer faxnumber faxno
 phones mobiltelefon telefonnr telefonu ph
 mobilnummer mobilnr mobiltlf mobiltelefonnummer telefonszam puhelin puhelinnumero gsm telemovel tlf tfno tlfno
 telefonu cepno mob handphone hp msisdn phn phne contactno mobileno cellno
street: strasse strassen rue calle rua straat ulica gata strada straatnaam streetname
 gatuadress gateadresse vej vejnavn veinavn ulice katuosoite katu utca strada sokak cadde gatunamn rua via
address: adresse adressen anschrift direccion indirizzo endereco adres addr domicilio morada addresses
 adres morada lakcim cim osoite bydliste adresa bosted hausanschrift
city: stadt ort wohnort ville ciudad citta cidade stad plaats woonplaats miasto miejscowosc town municipality gemeinde
 localidad comune localite village commune suburb hometown
 mesto postort poststed bynavn kaupunki postitoimipaikka varos telepules oras sehir kota kommune
state: bundesland provincia province provincie wojewodztwo estado county kanton canton prefecture region regione
 lan fylke megye judet iller
country: pays pais paese kraj nation countries
 zeme stat ulke orszag maa tara
zip: zipcode postcode postalcode plz postleitzahl codepostal codigopostal cep pincode kodpocztowy zipcodes postcodes
 psc postnr postnummer postinumero iranyitoszam pcode zipcd zip5 zip4 kodpoczt codpostal
company: firma firmenname entreprise societe empresa azienda societa bedrijf przedsiebiorstwo organisation
 organization
 employer unternehmen bedrijfsnaam firm org arbeitgeber
 foretag foretagsnamn virksomhed bedrift yritys ceg spolecnost sirket raisonsociale ragionesociale
job: jobtitle occupation profession beruf stelle metier puesto cargo professione beroep stanowisko zawod designation
 yrke stilling tehtava unvan meslek pozice profese foglalkozas beosztas anstallning
description: beschreibung descripcion descrizione descricao omschrijving opis desc descr descriptions
 beskrivning beskrivelse popis aciklama leiras kuvaus tanim
notes: note bemerkung bemerkungen kommentar kommentare comment comments remark remarks anmerkung anmerkungen remarque
 observaciones nota notas osservazioni observacao observacoes opmerking opmerkingen uwagi komentarz notiz notizen
 commentaire commentaires comentario comentarios memo
 anteckning anteckningar poznamka poznamky megjegyzes observatii notlar huomautus anmarkning merknad
gender: sex geschlecht sexe sexo sesso geslacht plec
 kon pohlavi cinsiyet sukupuoli nem kjonn
username: login loginname nickname benutzername nutzername benutzer utilisateur usuario utente gebruikersnaam
 uzytkownik screenname handle
 anvandarnamn brukernavn uzivatel kullanici kullaniciadi felhasznalonev benutzerkennung usrid usrnm logon loginid
title: titel titre titulo titolo tytul
url: website homepage webseite webpage link uri weblink hyperlink permalink urls
password: passwort pass pwd passwd contrasena motdepasse senha wachtwoord haslo passphrase kennwort
 losenord heslo sifre jelszo salasana parola
birth: birthdate birthday dob geburtsdatum geburtstag geboren naissance nacimiento nascita nascimento
 fodelsedatum fodt narozeni dogum dogumtarihi szuletesi syntymaaika
customer: kunde kunden client clients cliente clientes clienti klant klanten klient kund
 kunder klienci zakaznici musteriler asiakkaat ugyfelek kund kunde zakaznik zakaznika klienta musteri asiakas ugyfel
 cust
employee: mitarbeiter emp empleado empleados employe employes dipendente medewerker pracownik personnel angestellter
 anstalld anstallda werknemer werknemers zamestnanci calisanlar ansatte anstallde salarie salaries dipendenti
 anstalld ansatt zamestnanec pracownika calisan personel tyontekija dolgozo
supplier: lieferant lieferanten fournisseur proveedor fornitore fornecedor leverancier dostawca vendor vendors
 leverantor leverandor dodavatel tedarikci toimittaja
product: produkt produkte produit producto prodotto produto article artikel item items
order: bestellung auftrag commande pedido ordine bestelling zamowienie
 objednavka siparis rendeles tilaus zamowienia
billing: rechnung facturation facturacion fatturazione cobranca faktura fattura factura facture
 fakturace fatura szamla
delivery: lieferung liefer livraison envio entrega spedizione levering dostawa
account: konto compte cuenta conto conta rekening
holder: inhaber titulaire titular titolare houder
contact: contacto contatto contato kontakt
 kapcsolat iletisim
electronic: electronico electronique elettronica elettronico eletronico elektronisch
full: completo complet complete completa voll
place: lieu luogo lugar
line: ln
code: cd cod
family: famille familie familia famiglia fam
given: gvn proprio propre pila
number: no nr num numero numer nummer nbr cislo nro szam numarasi nummeret
status: stav durum statut stan situacao situazione estatus zustand tila
last: lst
"""

_MODIFIERS = _words(
    """
    account actor address agent album api author bank bill billing birth book business card category cc code company
    contact country credit customer death delivery department dept description director display domain driver e
    employee family file first folder franch full given head holder home host image insurance invoice ip item job label
    last license line local mac mail main manager middle name national notes number office of order owner parent
    passenger passport patient payment person phone photo place plate playlist postal primary private product project
    recipient reviewer role sales school sender ship shipping shop social state store street student supplier support
    tax team title track url user vat web work zip
    """
)


@cache
def _canonical() -> Mapping[str, str]:
    """Return the word that stands for each known word."""
    table: dict[str, str] = {}
    for line in _SYNONYMS.replace("\n ", " ").strip().splitlines():
        head, _, variants = line.partition(":")
        table.update(dict.fromkeys(variants.split(), head))
    return MappingProxyType(table)


_PIECE = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")


def _ascii(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.replace("ß", "ss").replace("ł", "l").replace("Ł", "L"))
    return "".join(c for c in folded if not unicodedata.combining(c))


_LINKS = frozenset({"s", "es", "n", "en"})
"""What German and Dutch put between the parts of a compound."""


def _segment(word: str) -> list[str]:
    """Cut a word without separators into known words, the fewest that cover it all; [word] if none do."""
    known = _canonical()
    best: list[list[str] | None] = [[], *[None] * len(word)]
    for end in range(1, len(word) + 1):
        for start in range(max(0, end - 16), end - 1):
            piece, head = word[start:end], best[start]
            if head is None or not (piece in known or piece in _MODIFIERS):
                continue
            found = best[end]
            if found is None or len(found) > len(head) + 1:
                best[end] = [*head, piece]
        for link in _LINKS:
            if word[:end].endswith(link) and best[end] is None and end > len(link):
                best[end] = best[end - len(link)]
    whole = best[-1]
    return whole if whole and word.endswith(whole[-1]) else [word]


_FOREIGN = "*"
_HEADS = _words("name mail phone street address city state country zip company notes place")
_AFTER = frozenset({"billing", "delivery", "customer", "contact", "employee", "supplier", "full", "electronic"})
_SILENT = frozenset({"txt", "str", "val", "pro", "portable", "tbl", "col"})
"""Words at the end of a name that add nothing."""
_ROWS = frozenset({"list", "table", "view", "master", "data", "info", "detail", "record", "log", "history", "archive"})
"""Nouns of relations that say nothing of what a row is."""


@cache
def tokens_of(name: str) -> tuple[str, ...]:
    """Split a name into lower-case words, known ones translated.

    >>> tokens_of("KundenTelefonNr")
    ('customer', 'phone', 'number')
    """
    known = _canonical()
    found: list[str] = []
    for piece in _PIECE.findall(_ascii(name)):
        word = piece.lower()
        if word not in known and _singular(word) in known:
            word = _singular(word)
        words = [word] if word in known or word in _MODIFIERS or word.isdigit() else _segment(word)
        for each in words:
            found += known.get(each, each).split("_")
        if len(found) == 1 and found[0] != word and found[0] in _HEADS:
            found.append(_FOREIGN)
    while len(found) > 1 and found[-1] in _SILENT:
        found.pop()
    if _FOREIGN in found:
        found.remove(_FOREIGN)
        # Romance languages put the noun first: ville_livraison, tel_client
        if len(found) > 1 and found[-1] in _AFTER:
            found = [*found[1:], found[0]]
    return tuple(found)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


# --- What relations and neighbours say ------------------------------------------------------------------------------

_PEOPLE = _words(
    """
    customer employee person people user member patient student teacher contact author actor owner driver player staff
    worker passenger guest tenant borrower subscriber director doctor nurse manager recipient sender beneficiary
    reviewer applicant candidate agent coach instructor professor attendee participant profile friend child parent
    guardian visitor voter donor buyer seller resident citizen composer reader writer editor salesperson rep master
    cardholder holder lead admin personen persona personne pessoa persoon osoba mother father spouse insured debtor
    witness officer username principal physician claimant requester consignee consignor assignee reporter
    supervisor approver payer payee committer referee
    """
)
_COMPANIES = _words(
    """
    company supplier shipper manufacturer publisher constructor airline bank brand carrier merchant retailer insurer
    partner distributor producer hospital school university agency institution broker provider dealer reseller shop
    store hotel restaurant charity club studio
    """
)
_PLACES: Mapping[str, Meaning] = MappingProxyType(
    {"city": Meaning.CITY, "country": Meaning.COUNTRY, "state": Meaning.STATE, "street": Meaning.STREET}
)
_PLACE_WORDS = frozenset({"address", "street", "city", "zip", "country", "postal", "phone", "latitude", "lat"})
_PERSON_WORDS = frozenset({"birth", "gender", "hire", "salary", "marital", "employee", "deceased", "reports"})


@dataclass(frozen=True, slots=True)
class _Context:
    """What surrounds the column."""

    head: str
    """The noun of the relation's name."""
    names: frozenset[str]
    """Canonical names of the other columns."""
    words: frozenset[str]
    """Every single word in them."""

    @property
    def person(self) -> bool:
        """Whether a row of the relation is a person."""
        if self.head in _PEOPLE or self.names & {"first_name", "last_name"}:
            return True
        return self.head not in _COMPANIES and bool(self.words & _PERSON_WORDS or "mail" in self.names)

    @property
    def place(self) -> bool:
        """Whether a row of the relation has a place."""
        return bool(self.words & _PLACE_WORDS) or self.head in {"address", "city", "state", "country", "location"}


def _context(column: str, relation: str, neighbours: Sequence[str]) -> _Context:
    words = [_singular(word) for word in tokens_of(relation) if not word.isdigit()]
    while len(words) > 1 and (words[-1] in _ROWS or len(words[-1]) <= 2):
        words.pop()
    names, singles = _counted(tuple(neighbours))
    # what the column alone is called does not surround it
    mine, times = tokens_of(column), neighbours.count(column)
    own = {name for name in ("_".join(mine),) if names[name] == times}
    alone = {word for word in mine if singles[word] == times * mine.count(word)}
    return _Context(words[-1] if words else "", frozenset(names).difference(own), frozenset(singles).difference(alone))


@lru_cache(maxsize=8)
def _counted(columns: tuple[str, ...]) -> tuple[Counter[str], Counter[str]]:
    """Return how often there is each canonical name among those of columns, and each single word."""
    found = [tokens_of(column) for column in columns]
    return Counter("_".join(tokens) for tokens in found), Counter(token for tokens in found for token in tokens)


# --- Rules ----------------------------------------------------------------------------------------------------------

_RULES = r"""
token 0.85: password hash salt secret token digest checksum signature nonce fingerprint md5 sha\d* otp session_key
 (api|access|secret|private|public)_key session_id
uuid 0.9: uuid guid
national_id 0.85: ssn ssn_(num|number) social_security(_number)? national_(id|number|identity|identifier)(_number)?
 pesel
 bsn cpf insee codice_fiscale personal?_(number|code|id_number) personnummer dni nif nie nino
 sozialversicherungsnummer
 identity_(card|number)(_number)? (citizen|identity|government)_(id|number) ausweisnummer social_insurance_number curp
 sv_number rijksregisternummer aadhaar(_number)?
 (sin|sosyal|ahv|avs|nhs|ni|nin|cpr|hetu|cnp|oib|egn|curp|pid)(_number)?
 nino personnumber person_?nr rodne_?(cislo|number)? rc fodselsnummer fodselsnr fodselsnumber
 rijksregister(_?nr|_number)?
 tc_kimlik(_number)? kimlik(_number)? dowod(_osobisty)? henkilotunnus steuer_?id(nr|_number)? idnr num_(secu|nss)
 number_(secu|securite_sociale|nss|dni) (drivers?_)?(license|licence)_(number|id) driver_licen[sc]e
 driving_licen[sc]e(_number)?
 cod(ice)?_fiscale cf national_insurance(_number)? nir tajszam taj medicare(_number)? id_card(_number)? pesel_number
passport 0.9: passport(_(number|id|code))? (reise)?pass_?(nr|nummer|number) pasaporte passeport
tax_id 0.85: vat(_(id|number|code|reg|registration))* tax_(id|number|code|identifier) taxid tin ein
 ust_?id(_?(number|nr))?
 regon cvr(_number)? org_?(nr|number) organi[sz]ation_number ico dic vergi_(number|kimlik_number) vkn adoszam abn acn
 (number_)?(vat|btw|tva) (vat|btw|tva)_number rut cuit nit cui ytunnus y_tunnus gst_?(in|number)? ust_?id uid_number
 steuernummer u_st_id umsatzsteuer_id tva (number_)?tva siret siren nip cnpj cif partita_iva piva btw(_number)? gstin
 rfc
iban 0.95: iban(_number)? rib
bank_account 0.85: ^account$ (bank_)?(account|acct|acc|konto)_(number|num) (account_)?kontonummer kontonr
 rekeningnummer rekening(_number)?
 cuenta(_bancaria|_corriente)? number_konta number_account conta(_(corrente|bancaria))? conto_corrente cislo_uctu
 number_uctu
 hesap(_number)? bankszamlaszam bank_(acct|account)(_(number|num))? numer_konta account_bancaria account_corrente
 konta_number
bic 0.9: bic(_code)? swift(_(code|bic))?
vin 0.9: vin(_number)? fin fahrgestell_?(nummer|number|nr) chassis(_number)? vehicle_identification_number
imei 0.9: imei(_number)?
ean 0.85: ean_?(8|13)?(_code)? upc(_code)? gtin(_?1[234])? barcode
isbn 0.95: isbn_?(10|13)?
card_number 0.85: (credit_|debit_|payment_)?card_number cc_number ccnum kreditkarte(n_?number|nnummer)? credit_card
 pan
plate 0.8: (license|licence|number|registration)_plate(_number)? plate(_number)? kennzeichen immatriculation matricula
 targa kenteken placa plaka spz reg_?(nr|number) rendszam rekisterinumero number_rej
 (car|vehicle)_reg(istration)?(_number)?
 number_rejestracyjny
sentence 0.8: mail_subject
paragraph 0.7: (mail|phone|address)_(body|text|content|message)
email 0.95: electronic_(mail|address) (e_)?mail(_(address|addr))?(_(home|work|private|primary|personal|business))?
user_agent 0.95: user_agent useragent
ipv4 0.85: ip_?(v_?4)?(_address|_addr)? ipaddr remote_address
ipv6 0.9: ip_?v_?6(_address|_addr)?
mac 0.95: mac_address macaddr
url 0.9: url(_address)? web_(site|page|address|url) home_page web href referr?er
domain 0.8: domain(_name)? host(_name)? hostname fqdn server_name subdomain
file_name 0.8: file(_name|_path) filename filepath (image|photo|document|attachment|logo)_(file|name|path)
json 0.7: json jsonb
xml 0.7: xml
html 0.7: html html_(body|content|text)
city 0.9: place_(of_)?(birth|death|residence) birth_?place
username 0.7: (upd|updated|crt|created|ins|inserted|mod|modified|chg|changed)_(usr|user|by)(_id)?
none 0: id ids key fk pk count cnt flag type kind status verified confirmed enabled valid format at date time
 timestamp
 year month day amount price total rate size length width height weight percent score rank level group version
 language
 lang locale currency unit units timezone tz mode method sequence opt_in allowed birth extension ext area_code
 dial_code
 calling_code phone_code salary frequency category continent nationality period policy parameters role_id
 card_(brand|network|issuer|scheme)
honorific 0.8: title_of_courtesy salutation anrede honorific courtesy(_title)? civilite (name_)?prefix tratamiento
 name_title
counts 0:
 (sku|slug|version|build|model|serial|lot|batch|part|order|invoice|tracking|policy|claim|ticket|document|doc|receipt|
 shipment|parcel|reference|ref|po|product|article|item|stock|frame|rim|coupon|voucher|transaction|auth|request|event|supplier|
 customer|station|hs|cost|tax|diagnosis|account|size|dewey|naf)_(number|code|id|key|center|centre) sku version slug
 mrn seat shelf
 file_size table_name column_name branch_name tracking coupon voucher serial order_ref postal_order dossier precinct
 period expediente
given_name 0.95: name_given (given|gvn)_(name|nm) (first|given|fore|middle|christian|preferred)_name
 name_(first|given|middle) (middle|first)_initial
family_name 0.95: name_(usage|naissance|menage|jeune_fille) fam(ily)?_(nm|name) (apellido|last_name)_?\d
 (last|family|sur|maiden|birth|second)_name name_(last|family) geburtsname
full_name 0.9: full_name name_full name_and_last_name
username 0.9: (user_?|screen_|nick_|account_)name username(_name)? name_username nick user_login
username 0.6: (created|updated|modified|changed|approved|deleted|uploaded|assigned|inserted)_by user
gender 0.9: gender
phone 0.9: (number_)?(phone|whats_?app|sms)(_(number|home|work|phone|office|private|business|primary))?
 emergency_number msisdn
 handy
 landline (home|work|office|contact)_number
job 0.85: job(_(title|name|position|role|description))? position(_title)? (contact|staff|employee|work|rep)_title
secondary_address 0.85: (address|street)(_(line|ln|address))?_2 apartment apt suite flat unit_number
 address_(extra|suffix)
 addition complement(o|ement)? adresszusatz secondary_address apt_number address_(supplement|complement)
street 0.9: street(_(name|address|line|number))* address_(street|line)(_1)? address_1 line_1 road
city 0.9: city(_(name|city))? geburtsort locality
state_code 0.9: (?<!country_)st(ate)?_(code|abbr|abbreviation|short|iso)
country_code 0.9: country_state_code country_(code|iso|cd|alpha|abbr|short)(_(code|\d))? iso_country(_code)?
 iso_(alpha_)?[23]
 alpha_[23](_code)?
 code_country landcode landkz
country 0.9: country(_(name|of_(birth|residence|origin)|full))?
postcode 0.9: zip(_code|_postal)? postal(_code|_zip)? post_code code_postale? codigo_postal codice_postale
 kod_pocztowy
 post_?nr post_number cp cap pin_code
company 0.9: company(_(name|title))? (legal|trade|trading|business|corporate|registered)_name ra(z|is)on_sociale? dba
 ragione_sociale razao_social
sentence 0.8: subject(_line)? headline heading slogan tagline betreff subtitle sub_title objet asunto oggetto
 onderwerp
 catch_phrase motto caption \w*title short_description teaser
paragraph 0.85: description(_(long|text|full))? notes(_text)? body(_text)? bio biography content
 message(_(text|body))?
 text review(_(text|body|comment))? feedback(_text)? abstract summary details? story about(_me)? lyrics instructions?
 answer explanation free_text testo texto texte tekst excerpt synopsis plot nachricht inhalt mensaje mensagem
 messaggio
 tresc wiadomosc
"""


@dataclass(frozen=True, slots=True)
class Hint:
    """What a name says."""

    meaning: Meaning | None
    """None where the name says that values are no text of a meaning: a status, a date, a count."""
    confidence: float
    reason: str
    counts: bool = False
    """Whether it is the number or the code of a thing that is counted or listed: an order, a lot, a part."""


@cache
def _rules() -> tuple[tuple[re.Pattern[str], Hint], ...]:
    """Return patterns of the end of a canonical name, the first that is found being right."""
    rules = []
    for line in _RULES.replace("\n ", " ").strip().splitlines():
        (meaning, confidence), patterns = line.partition(":")[0].split(), line.partition(":")[2].split()
        pattern = re.compile(f"(?:^|_)(?:{'|'.join(patterns)})(?:_\\d+)?$")
        plain = None if meaning in ("none", "counts") else Meaning(meaning)
        rules.append((pattern, Hint(plain, float(confidence), "the column's name", counts=meaning == "counts")))
    return tuple(rules)


def read_name(column: str, *, relation: str, neighbours: Sequence[str]) -> Hint | None:
    """Read a column's name beside the names around it; None where it says nothing."""
    tokens = tokens_of(column)
    context = _context(column, relation, neighbours)
    if not tokens or tokens[0] in {"is", "has", "can", "was"}:
        return None
    joined = "_".join(tokens)
    if special := _beside_others(tokens, joined, context):
        return special
    for pattern, hint in _rules():
        if pattern.search(joined):
            return hint
    return _noun([token for token in tokens if not token.isdigit()])


def _beside_others(tokens: tuple[str, ...], joined: str, context: _Context) -> Hint | None:
    """Read names whose meaning hangs on what stands around them."""
    match tokens:
        case ("name",):
            return _bare_name(context)
        case ("ad",) if "last_name" in context.names:
            return Hint(Meaning.GIVEN_NAME, 0.85, "a name beside a last name")
        case ("code" | "iso" | "abbr" | "abbreviation", *_) if (
            context.head in {"country", "state"} and len(tokens) <= 2
        ):
            code = Meaning.COUNTRY_CODE if context.head == "country" else Meaning.STATE_CODE
            return Hint(code, 0.85, "the relation's name")
        case ("title",) if context.head in _PEOPLE or context.names & {"last_name"} or "employee" in context.words:
            return Hint(Meaning.JOB, 0.8, "a person's title")
        case ("title",):
            return Hint(Meaning.SENTENCE, 0.75, "a thing's title")
        case ("role",) if context.person:
            return Hint(Meaning.JOB, 0.6, "a person's role")
        case ("land",) if context.place:
            return Hint(Meaning.COUNTRY, 0.8, "a country beside other parts of an address")
        case ("location",) if "country" in context.words:
            return Hint(Meaning.CITY, 0.6, "a place beside its country")
        case _:
            return _address_part(tokens, joined, context)


_NO_POST = frozenset({"ip", "mac", "mail", "url", "web", "remote", "host", "4", "6", "wallet"})


def _address_part(tokens: tuple[str, ...], joined: str, context: _Context) -> Hint | None:
    last, before = tokens[-1], tokens[-2] if len(tokens) > 1 else ""
    if last == "address" and before not in _NO_POST | {"street", "secondary"}:
        if context.words & {"city", "zip", "postal"}:
            return Hint(Meaning.STREET, 0.85, "an address beside its city")
        return Hint(Meaning.ADDRESS, 0.8, "the column's name")
    if last in {"state", "district"} or (before == "state" and last == "name"):
        if joined.endswith("head_of_state"):
            return Hint(Meaning.FULL_NAME, 0.7, "a noun for a person")
        if context.place or len(tokens) > 1 or context.head == "state":
            return Hint(Meaning.STATE, 0.85, "a region beside other parts of an address")
    return None


def _bare_name(context: _Context) -> Hint:
    first, last = "first_name" in context.names, "last_name" in context.names
    if first and not last:
        return Hint(Meaning.FAMILY_NAME, 0.85, "a name beside a first name")
    if last and not first:
        return Hint(Meaning.GIVEN_NAME, 0.8, "a name beside a last name")
    if context.head in _PLACES:
        return Hint(_PLACES[context.head], 0.85, "the relation's name")
    if context.head in _COMPANIES:
        return Hint(Meaning.COMPANY, 0.8, "the relation's name")
    if context.head in {"file", "attachment", "document", "upload"}:
        return Hint(Meaning.FILE_NAME, 0.6, "the relation's name")
    if context.head in {"domain", "host", "server"}:
        return Hint(Meaning.DOMAIN, 0.6, "the relation's name")
    if context.person:
        return Hint(Meaning.FULL_NAME, 0.85 if context.head in _PEOPLE else 0.7, "a person's name")
    return Hint(Meaning.WORD, 0.75, "a thing's name")


_PERSON_NOUN = "|".join(sorted(_PEOPLE - {"master", "profile", "admin", "child", "parent", "lead", "username"}))
_COMPANY_NOUN = "|".join(sorted(_COMPANIES - {"partner", "provider", "school", "shop", "store", "studio", "carrier"}))
_FIRM = re.compile(f"(?:^|_)(?:(?:{_COMPANY_NOUN})(?:_name)?|(?:carrier|partner|provider|school|shop|studio)_name)$")
_PERSON = re.compile(f"(?:^|_)(?:{_PERSON_NOUN}|attention|attn|kontakt|ansprechpartner)$")
_PERSON_NAME = re.compile(
    f"(?:^|_)(?:{_PERSON_NOUN}|lead|parent|child|ship|shipping|billing|bill|delivery|display|real|ansprechpartner|"
    "kontakt|sales|artist|winner|leader)_(?:to_)?name$"
)


def _noun(tokens: Sequence[str]) -> Hint | None:
    """Read nouns that stand for a person, an organisation or a thing, with or without ``name`` behind them."""
    joined = "_".join(tokens)
    if not tokens:
        return None
    if _PERSON_NAME.search(joined):
        return Hint(Meaning.FULL_NAME, 0.8, "the name of a person")
    if _FIRM.search(joined):
        return Hint(Meaning.COMPANY, 0.75, "the name of an organisation")
    if _PERSON.search(joined):
        return Hint(Meaning.FULL_NAME, 0.65, "a noun for a person")
    if tokens[-1] in {"name", "label"} or tokens[0] == "name":
        return Hint(Meaning.WORD, 0.75, "a thing's name")
    return None
