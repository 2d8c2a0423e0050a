package charset

// visciiRunes are the characters of VISCII, RFC 1456: ASCII, but six control
// characters, and the letters of Vietnamese above.
var visciiRunes = makeVISCII()

const visciiUpper = "" +
	"ẠẮẰẶẤẦẨẬẼẸẾỀỂỄỆỐ" +
	"ỒỔỖỘỢỚỜỞỊỎỌỈỦŨỤỲ" +
	"Õắằặấầẩậẽẹếềểễệố" +
	"ồổỗỠƠộờởịỰỨỪỬơớƯ" +
	"ÀÁÂÃẢĂẳẵÈÉÊẺÌÍĨỳ" +
	"ĐứÒÓÔạỷừửÙÚỹỵÝỡư" +
	"àáâãảăữẫèéêẻìíĩỉ" +
	"đựòóôõỏọụùúũủýợỮ"

func makeVISCII() (t [256]rune) {
	for i := range 128 {
		t[i] = rune(i)
	}
	t[0x02] = 'Ẳ'
	t[0x05] = 'Ẵ'
	t[0x06] = 'Ẫ'
	t[0x14] = 'Ỷ'
	t[0x19] = 'Ỹ'
	t[0x1E] = 'Ỵ'
	i := 128
	for _, r := range visciiUpper {
		t[i] = r
		i++
	}
	return t
}
