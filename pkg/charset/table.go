package charset

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// safe is a charset whose octets below 0x80 are ASCII and nothing else.
func safe(e encoding.Encoding) Charset { return Charset{ASCII: true, codec: codec{encoding: e}} }

// mixed is a charset whose octets below 0x80 may be part of other characters.
func mixed(e encoding.Encoding) Charset { return Charset{codec: codec{encoding: e}} }

// charsets holds what is known, by preferred MIME name.
//
// ISO-8859-1 and -9 are themselves, not the Windows code pages that the web
// takes for them. ISO-8859-11 is Windows-874, which has it all. GB 2312 is GBK
// and EUC-KR is code page 949, as in mail that says so and is not.
var charsets = map[string]Charset{
	"us-ascii": Octets,
	"utf-8":    Octets,
	"utf-7":    {codec: codec{stepper: func() stepper { return new(utf7) }}},
	"utf-16":   mixed(unicode.UTF16(unicode.BigEndian, unicode.UseBOM)),
	"utf-16be": mixed(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)),
	"utf-16le": mixed(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)),

	"iso-8859-1":  safe(charmap.ISO8859_1),
	"iso-8859-2":  safe(charmap.ISO8859_2),
	"iso-8859-3":  safe(charmap.ISO8859_3),
	"iso-8859-4":  safe(charmap.ISO8859_4),
	"iso-8859-5":  safe(charmap.ISO8859_5),
	"iso-8859-6":  safe(charmap.ISO8859_6),
	"iso-8859-7":  safe(charmap.ISO8859_7),
	"iso-8859-8":  safe(charmap.ISO8859_8),
	"iso-8859-9":  safe(charmap.ISO8859_9),
	"iso-8859-10": safe(charmap.ISO8859_10),
	"iso-8859-11": safe(charmap.Windows874),
	"iso-8859-13": safe(charmap.ISO8859_13),
	"iso-8859-14": safe(charmap.ISO8859_14),
	"iso-8859-15": safe(charmap.ISO8859_15),
	"iso-8859-16": safe(charmap.ISO8859_16),

	"windows-874":  safe(charmap.Windows874),
	"windows-1250": safe(charmap.Windows1250),
	"windows-1251": safe(charmap.Windows1251),
	"windows-1252": safe(charmap.Windows1252),
	"windows-1253": safe(charmap.Windows1253),
	"windows-1254": safe(charmap.Windows1254),
	"windows-1255": safe(charmap.Windows1255),
	"windows-1256": safe(charmap.Windows1256),
	"windows-1257": safe(charmap.Windows1257),
	"windows-1258": safe(charmap.Windows1258),

	"ibm437":         safe(charmap.CodePage437),
	"ibm850":         safe(charmap.CodePage850),
	"ibm852":         safe(charmap.CodePage852),
	"ibm855":         safe(charmap.CodePage855),
	"ibm858":         safe(charmap.CodePage858),
	"ibm860":         safe(charmap.CodePage860),
	"ibm862":         safe(charmap.CodePage862),
	"ibm863":         safe(charmap.CodePage863),
	"ibm865":         safe(charmap.CodePage865),
	"ibm866":         safe(charmap.CodePage866),
	"koi8-r":         safe(charmap.KOI8R),
	"koi8-u":         safe(charmap.KOI8U),
	"macintosh":      safe(charmap.Macintosh),
	"x-mac-cyrillic": safe(charmap.MacintoshCyrillic),
	"viscii":         {codec: codec{stepper: func() stepper { return viscii{} }}},

	"euc-jp":      safe(japanese.EUCJP), // all octets of a kanji are above 0x80
	"iso-2022-jp": mixed(japanese.ISO2022JP),
	"shift_jis":   mixed(japanese.ShiftJIS),
	"euc-kr":      mixed(korean.EUCKR),
	"iso-2022-kr": {codec: codec{stepper: newISO2022, encoding: korean.EUCKR}},
	"gb2312":      mixed(simplifiedchinese.GBK),
	"gbk":         mixed(simplifiedchinese.GBK),
	"gb18030":     mixed(simplifiedchinese.GB18030),
	"hz-gb-2312":  mixed(simplifiedchinese.HZGB2312),
	"iso-2022-cn": {codec: codec{stepper: newISO2022, encoding: simplifiedchinese.GBK}},
	"big5":        mixed(traditionalchinese.Big5),
}

// aliases are the other names in use, those that the original knows included.
var aliases = map[string]string{
	"": "us-ascii", "ascii": "us-ascii", "ansi_x3.4-1968": "us-ascii", "iso646-us": "us-ascii", "us": "us-ascii",
	"utf8": "utf-8", "unicode-1-1-utf-8": "utf-8", "unicode-1-1-utf-7": "utf-7", "unicode-2-0-utf-7": "utf-7", "utf7": "utf-7",
	"utf16": "utf-16", "ucs-2": "utf-16", "iso-10646-ucs-2": "utf-16", "unicode": "utf-16",

	"iso8859-1": "iso-8859-1", "iso_8859-1": "iso-8859-1", "latin1": "iso-8859-1", "latin-1": "iso-8859-1", "l1": "iso-8859-1",
	"iso8859-2": "iso-8859-2", "iso_8859-2": "iso-8859-2", "latin2": "iso-8859-2",
	"iso8859-3": "iso-8859-3", "latin3": "iso-8859-3",
	"iso8859-4": "iso-8859-4", "latin4": "iso-8859-4",
	"iso8859-5": "iso-8859-5", "cyrillic": "iso-8859-5",
	"iso8859-6": "iso-8859-6", "iso-8859-6-e": "iso-8859-6", "iso-8859-6-i": "iso-8859-6", "arabic": "iso-8859-6",
	"iso8859-7": "iso-8859-7", "greek": "iso-8859-7",
	"iso8859-8": "iso-8859-8", "iso-8859-8-e": "iso-8859-8", "iso-8859-8-i": "iso-8859-8", "hebrew": "iso-8859-8",
	"iso8859-9": "iso-8859-9", "latin5": "iso-8859-9",
	"iso8859-10": "iso-8859-10", "latin6": "iso-8859-10",
	"iso8859-11": "iso-8859-11", "tis-620": "iso-8859-11", "tis620": "iso-8859-11",
	"iso8859-13": "iso-8859-13", "iso8859-14": "iso-8859-14", "iso8859-15": "iso-8859-15", "latin9": "iso-8859-15",
	"latin-9": "iso-8859-15", "iso8859-16": "iso-8859-16",

	"cp874": "windows-874", "cp1250": "windows-1250", "cp1251": "windows-1251", "cp1252": "windows-1252",
	"cp1253": "windows-1253", "cp1254": "windows-1254", "cp1255": "windows-1255", "cp1256": "windows-1256",
	"cp1257": "windows-1257", "cp1258": "windows-1258", "x-cp1250": "windows-1250", "x-cp1251": "windows-1251",
	"x-cp1252": "windows-1252",

	"cp437": "ibm437", "437": "ibm437", "cp850": "ibm850", "850": "ibm850", "cp852": "ibm852", "cp855": "ibm855",
	"cp858": "ibm858", "ibm00858": "ibm858", "cp860": "ibm860", "cp862": "ibm862", "cp863": "ibm863", "cp865": "ibm865",
	"cp866": "ibm866", "866": "ibm866", "koi8": "koi8-r", "cskoi8r": "koi8-r", "koi8-ru": "koi8-u",
	"mac": "macintosh", "x-mac-roman": "macintosh", "x-mac-ukrainian": "x-mac-cyrillic", "csviscii": "viscii",

	"eucjp": "euc-jp", "x-euc-jp": "euc-jp", "extended_unix_code_packed_format_for_japanese": "euc-jp",
	"iso-2022-jp-1": "iso-2022-jp", "iso-2022-jp-2": "iso-2022-jp", "iso-2022-jp-3": "iso-2022-jp", "csiso2022jp": "iso-2022-jp",
	"shift-jis": "shift_jis", "sjis": "shift_jis", "x-sjis": "shift_jis", "ms_kanji": "shift_jis", "windows-31j": "shift_jis",
	"cp932": "shift_jis", "pck": "shift_jis",
	"euckr": "euc-kr", "ks_c_5601-1987": "euc-kr", "ks_c_5601-1989": "euc-kr", "ks_c_5601-1992": "euc-kr",
	"ks_c_5601-1997": "euc-kr", "ksc5601": "euc-kr", "ksc_5601": "euc-kr", "korean": "euc-kr", "windows-949": "euc-kr",
	"cp949": "euc-kr", "x-windows-949": "euc-kr", "uhc": "euc-kr", "csiso2022kr": "iso-2022-kr",
	"cn-gb": "gb2312", "euc-cn": "gb2312", "gb_2312-80": "gb2312", "gb2312-80": "gb2312", "csgb2312": "gb2312",
	"chinese": "gb2312", "x-gbk": "gbk", "cp936": "gbk", "windows-936": "gbk", "ms936": "gbk", "gb-18030": "gb18030",
	"hz": "hz-gb-2312", "iso-2022-cn-ext": "iso-2022-cn",
	"big-5": "big5", "cn-big5": "big5", "csbig5": "big5", "x-x-big5": "big5", "big5-hkscs": "big5", "cp950": "big5",
	"windows-950": "big5",
}
